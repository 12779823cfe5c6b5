//! Reaching a host of the pool, and being let in.

use super::arguments::Request;
use super::fault;
use super::refuse::{Fail, Outcome, Param, refused};
use super::row::Class;
use super::store::Store;
use std::net::IpAddr;

/// Whether the named server answers: the coordinator does, another member sends to it, nobody else is there.
pub fn reach(store: &Store, request: &Request) -> Outcome<()> {
    let Some(server) = &request.server else { return Ok(()) };
    let pool = store.read()?;
    let here = server == "127.0.0.1";
    let coordinator = pool.coordinator()?;
    let host = if here || server == "localhost" {
        pool.find(Class::Host, &coordinator)
    } else {
        let called = |name: &str| name.eq_ignore_ascii_case(server);
        pool.rows(Class::Host)
            .iter()
            .find(|host| ["address", "hostname", "name-label"].iter().any(|name| called(host.get(name))))
    };
    // `xe` speaks TLS to every server but 127.0.0.1.
    let secure = !request.plain && !here;
    let listening = request.port.is_none_or(|port| port == if secure { 443 } else { 80 });
    let Some(host) = host.filter(|_| listening) else {
        return Err(Fail::Client(unreachable(server, request, secure)));
    };
    if host.uuid == coordinator {
        return Ok(());
    }
    let address = pool.get(Class::Host, &coordinator)?.get("address");
    Err(refused("HOST_IS_SLAVE", vec![Param::text(address)]))
}

fn unreachable(server: &str, request: &Request, secure: bool) -> String {
    if secure || request.port == Some(443) {
        return "Unable to contact server. Please check server and port settings.\n".into();
    }
    if server.parse::<IpAddr>().is_err() && server != "localhost" {
        let port = request.port.unwrap_or(80);
        return format!("No addrinfo found for host: {server}, port: {port}Host '{server}' not found.\n");
    }
    fault::REFUSED.into()
}

/// Whether user and password are right. On the host itself (no server named) they may be left out.
pub fn check(store: &Store, request: &Request) -> Outcome<()> {
    if request.server.is_none() && request.username.is_none() && request.password.is_none() {
        return Ok(());
    }
    let pool = store.read()?;
    let username = request.username.as_deref().unwrap_or("root");
    let password = match &request.password {
        Some(password) => password,
        None if request.server.is_none() => &pool.password,
        None => return Err(Fail::Login),
    };
    if username == "root" && *password == pool.password { Ok(()) } else { Err(Fail::Login) }
}
