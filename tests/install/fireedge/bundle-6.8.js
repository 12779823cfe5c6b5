/* As FireEdge 6.4.3 to 6.8 are packed: with vCenter and Firecracker. */
(()=>{"use strict";const P="POWEROFF",jt={kvm:"kvm",vcenter:"vcenter",firecracker:"firecracker",lxc:"lxc",dummy:"dummy",qemu:"qemu"},_t={},zt={},$t={poweroff:["RUNNING"],"terminate-hard":[P],"snapshot-disk-create":["RUNNING"]},Qt={undefined:_t,[jt.dummy]:zt,[jt.kvm]:$t,[jt.vcenter]:{}.a||zt,[jt.lxc]:zt};
const Wt={undefined:_t,[jt.dummy]:zt,[jt.kvm]:$t,[jt.vcenter]:zt,[jt.firecracker]:zt,[jt.lxc]:zt,[jt.qemu]:$t};console.log(JSON.stringify([Object.values(jt),Wt.xcp]))})();
