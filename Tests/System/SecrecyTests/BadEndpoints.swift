import ControlAPI
import PostgresProcess

extension SecretCluster {
    /// Endpoints that hold a wrong password and cannot be used, as people and programs get them wrong. `port`: of a server that asks for another password.
    func badEndpoints(port: Int) -> [String] {
        let (raw, url) = (passwords.wrong.text, passwords.wrong.encoded)
        return [
            "postgres://postgres:\(url)@127.0.0.1:\(port)/shop", "postgres://postgres@127.0.0.1:\(port)/shop?password=\(url)",
            "postgres://postgres:\(url)@127.0.0.1:1/shop", "postgres://postgres:\(url)@unknown.invalid/shop", "postgres://postgres:\(url)@169.254.169.254/shop",
            "postgres://app:\(raw)@127.0.0.1:\(port)/shop", "postgres://app:\(raw)", "postgres://app:\(url)@", "postgres://app:\(url)@/shop",
            "postgres:/app:\(url)@127.0.0.1/shop", "app:\(url)@127.0.0.1:5432/shop", "mysql://app:\(url)@127.0.0.1/shop", "\(raw)", "\(url)",
            "postgres://app:\(url)@127.0.0.1:\(url)/shop", "postgres://app:\(url)@127.0.0.1:99999/shop", "postgres://app:\(url)@a,b/shop",
            "postgres://app:%zz\(url)@127.0.0.1/shop", "postgres://app:x/\(url)@127.0.0.1/shop", "postgres://app:x?\(url)@127.0.0.1/shop",
            "postgres://app:x#\(url)@127.0.0.1/shop", "postgres://app@127.0.0.1/shop?password=\(url)&password=\(url)",
            "postgres://app:\(url)@127.0.0.1/shop?password=\(url)", "postgres://app@127.0.0.1:1/shop?p%61ssword=\(url)",
            "postgres://app@127.0.0.1/shop?passwd=\(url)", "postgres://app@127.0.0.1/shop?\(url)", "postgres://app@127.0.0.1/shop?%zz=\(url)",
            "postgres://app@127.0.0.1/shop?password=sealed:\(url)", "postgres://app@127.0.0.1/shop?sslmode=\(url)",
            "postgres://app@127.0.0.1/shop?connect_timeout=\(url)", "host=127.0.0.1 user=app password=\(raw) dbname=shop",
            "etcd://app:\(url)@127.0.0.1",
        ]
    }

    /// Bodies that are no request, with a wrong password in them.
    var badBodies: [String] {
        let text = JSONValue.string(passwords.wrong.text).text
        return [
            "{\"username\": \"ada\", \"password\": \(text)}", "{\"username\": \"ada\", \"password\": \(text)", "{\"username\": \"ada\", \"password\": [\(text)]}",
            "{\"name\": \"eve\", \"password\": \(text), \"roles\": [\"king\"]}", "\(text)", "[\(text)]",
            "{\"name\": \"\", \"password\": \(text), \"roles\": [\"admin\"]}", "{\"id\": \"s9\", \"database\": \"shop\", \"password\": \(text)}",
            "{\"id\": \"s9\", \"database\": \(text), \"primary_endpoint\": [\(text)]}", "{\"username\": \"ada\", \"password\": \(text)}}", "{\(text)",
            "{\"query\": \(text), \"params\": {\"a\": \(text)}}", "{\"token\": \(text)}", "{\"roles\": \(text)}", "{\"level\": \(text)}",
        ]
    }

    /// Settings of a server that does not start, with a password in them, and the words that say why.
    var badSettings: [(name: String, yaml: String)] {
        let (raw, url) = (passwords.setting.text, passwords.setting.encoded)
        let quoted = JSONValue.string(raw).text
        let good = "catalog: \"sqlite:\(folder)/unused.sqlite\"\n"
        return [
            ("an open quote", "catalog: \"postgres://app:\(url)@127.0.0.1/catalog\nid: x\n"), ("a stray bracket", "catalog: {postgres://app:\(url)@127.0.0.1]\n"),
            ("no location", "catalog: \(quoted)\n"), ("a secret that is no reference", good + "auth: {secret: \(quoted)}\n"),
            ("a user and no database", "catalog: \"postgres://app:\(url)@127.0.0.1\"\n"), ("a broken host", "catalog: \"postgres://app:\(url)@[::1/catalog\"\n"),
            ("not encoded", "catalog: \(JSONValue.string("postgres://app:\(raw)@127.0.0.1/catalog").text)\n"),
            ("a parameter that is none", "catalog: \"postgres://app@127.0.0.1/catalog?secret=\(url)\"\n"),
            ("a wrong password", "catalog: \"postgres://postgres:\(url)@127.0.0.1:\(catalog.port)/catalog\"\n"),
            ("etcd with a path", "catalog: \"etcd://app:\(url)@127.0.0.1/x\"\n"), ("etcd twice", "catalog: \"etcd://app@127.0.0.1?password=\(url)&password=\(url)\"\n"),
            ("etcd away", "catalog: \"etcd://app:\(url)@127.0.0.1:1\"\n"), ("a number", good + "http: {port: \(quoted)}\n"), ("a list", good + "auth: {secret: [\(quoted)]}\n"),
            ("a mapping", good + "catalog: {password: \(quoted)}\n"), ("twice", good + "auth: {secret: \(quoted)}\nauth: {secret: \(quoted)}\n"),
            ("a key file", good + "secrets: {key_file: \"\(folder)/no.key\"}\n"), ("a key set", good + "auth: {jwks_file: \"\(folder)/no.key\", jwks_issuer: x}\n"),
            ("a certificate", good + "secrets: {key_file: \"\(folder)/a.key\"}\nhttp: {tls_certificate_file: \"\(folder)/no.key\", tls_key_file: \"\(folder)/no.key\"}\n"),
        ]
    }
}
