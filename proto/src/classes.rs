//! What Consul's net/rpc methods count as.

use crate::Class;

/// The services of which every method is exempt.
const EXEMPT: [&str; 2] = ["Operator", "Status"];

/// The methods that are writes.
const WRITES: [&str; 29] = [
    "ACL.AuthMethodDelete",
    "ACL.AuthMethodSet",
    "ACL.BindingRuleDelete",
    "ACL.BindingRuleSet",
    "ACL.Login",
    "ACL.Logout",
    "ACL.PolicyDelete",
    "ACL.PolicySet",
    "ACL.RoleDelete",
    "ACL.RoleSet",
    "ACL.TokenDelete",
    "ACL.TokenSet",
    "AutoEncrypt.Sign",
    "Catalog.Deregister",
    "Catalog.Register",
    "ConfigEntry.Apply",
    "ConfigEntry.Delete",
    "ConnectCA.ConfigurationSet",
    "ConnectCA.Sign",
    "ConnectCA.SignIntermediate",
    "Coordinate.Update",
    "FederationState.Apply",
    "Intention.Apply",
    "Internal.EventFire",
    "KVS.Apply",
    "PreparedQuery.Apply",
    "Session.Apply",
    "Session.Renew",
    "Txn.Apply",
];

/// The class that Consul's server-side limiter gives to a net/rpc method (1.15): everything that is
/// neither exempt nor a write is a read, `ACL.BootstrapTokens` and `Internal.KeyringOperation` among
/// it.
pub fn consul_class(method: &str) -> Class {
    let service = method
        .split_once('.')
        .map_or(method, |(service, _)| service);
    if EXEMPT.contains(&service) {
        Class::Exempt
    } else if WRITES.contains(&method) {
        Class::Write
    } else {
        Class::Read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_classed_as_consul_does() {
        for (method, class) in [
            ("Status.Ping", Class::Exempt),
            ("Status.Peers", Class::Exempt),
            ("Operator.RaftRemovePeerByID", Class::Exempt),
            ("KVS.Apply", Class::Write),
            ("KVS.Get", Class::Read),
            ("Session.Renew", Class::Write),
            ("ACL.BootstrapTokens", Class::Read),
            ("ACL.TokenClone", Class::Read),
            ("AutoConfig.InitialConfiguration", Class::Read),
            ("Internal.KeyringOperation", Class::Read),
            ("Statu", Class::Read),
            ("StatusX.Ping", Class::Read),
            ("Nope.Nope", Class::Read),
            ("", Class::Read),
        ] {
            assert_eq!(consul_class(method), class, "{method}");
        }
    }
}
