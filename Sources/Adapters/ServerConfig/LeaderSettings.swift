internal import Foundation

/// How managers of one cluster agree on who leads, and reach each other.
package struct LeaderSettings: Hashable, Sendable {
    package enum Forwarding: String, Hashable, Sendable { case forward, redirect }

    /// nil: made of the address that the manager listens on.
    package var url: String?
    package var lease: Duration
    package var forward: Forwarding
    package var wait: Duration
    package var caFile: String?
    /// Shown to a leader that asks for a certificate; both or neither. nil: that of the REST API.
    package var certificateFile: String?
    package var keyFile: String?

    init(_ values: ResolvedSettings) {
        typealias Name = SettingsCatalogue
        url = values.path(Name.leaderURL).map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 }
        lease = values.duration(Name.leaderLease)
        forward = values.choice(Name.leaderForward)
        wait = values.duration(Name.leaderWait)
        caFile = values.path(Name.leaderCAFile)
        certificateFile = values.path(Name.leaderCertificateFile)
        keyFile = values.path(Name.leaderKeyFile)
    }

    /// The address gets paths appended, and callers' tokens sent to: anything else than a server's plain address is a mistake.
    func check() throws(ConfigError) {
        let (certificate, key) = (SettingsCatalogue.leaderCertificateFile.name, SettingsCatalogue.leaderKeyFile.name)
        if (certificateFile == nil) != (keyFile == nil) {
            throw keyFile == nil ? ConfigError(certificate, .inconsistent("needs \(key)")) : ConfigError(key, .inconsistent("needs \(certificate)"))
        }
        guard let url else { return }
        guard let parts = URLComponents(string: url), parts.scheme == "http" || parts.scheme == "https", parts.host?.isEmpty == false,
            parts.path.isEmpty, parts.query == nil, parts.fragment == nil, parts.user == nil
        else {
            throw ConfigError(SettingsCatalogue.leaderURL.name, .inconsistent("must be http://HOST:PORT or https://HOST:PORT"))
        }
    }
}
