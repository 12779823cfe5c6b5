//! Figures as OpenNebula reads them: finite, and never below 0.

/// With one decimal; none for what is no figure (XAPI says `nan` for what it has not measured).
pub fn decimal(value: f64) -> Option<String> {
    // 0.0 is added as -0.0 would be printed with its sign.
    value.is_finite().then(|| format!("{:.1}", value.max(0.0) + 0.0))
}

/// As [`decimal`], without decimals.
pub fn whole(value: f64) -> Option<String> {
    value.is_finite().then(|| format!("{:.0}", value.max(0.0) + 0.0))
}

#[cfg(test)]
mod tests {
    use super::{decimal, whole};

    #[test]
    fn what_is_no_figure_is_left_out_and_nothing_is_below_0() {
        for (value, shown) in [
            (3.46, Some("3.5")),
            (0.0, Some("0.0")),
            (-0.0, Some("0.0")),
            (-0.04, Some("0.0")),
            (-7.0, Some("0.0")),
            (f64::NAN, None),
            (f64::INFINITY, None),
            (f64::NEG_INFINITY, None),
        ] {
            assert_eq!(decimal(value).as_deref(), shown, "{value}");
            assert_eq!(whole(value).is_some(), shown.is_some(), "{value}");
        }
        assert_eq!((whole(-0.0).as_deref(), whole(99.6).as_deref()), (Some("0"), Some("100")));
    }
}
