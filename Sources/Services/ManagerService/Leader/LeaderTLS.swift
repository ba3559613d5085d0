internal import Listening
internal import NIOSSL
package import ServerConfig
internal import Synchronization

/// What a manager trusts, and what it shows, where it calls the leader. Read anew with the settings; connections that are open stay as they are until they are idle.
package final class LeaderTLS: Sendable {
    private let configuration: Mutex<TLSConfiguration>

    /// Throws a `ConfigError` where a file cannot be used.
    package init(_ settings: LeaderSettings, own: HTTPTLSFiles?) throws(ConfigError) {
        configuration = Mutex(try Self.configuration(settings, own))
    }

    var current: TLSConfiguration { configuration.withLock { $0 } }

    /// Throws, and stays as it is, where a file cannot be used; what it returns puts the new one in force.
    package func reading(_ settings: LeaderSettings, own: HTTPTLSFiles?) throws(ConfigError) -> @Sendable () -> Void {
        let new = try Self.configuration(settings, own)
        return { self.configuration.withLock { $0 = new } }
    }

    /// With what is in the files rather than their names: connections of one configuration are kept for the next request.
    private static func configuration(_ settings: LeaderSettings, _ own: HTTPTLSFiles?) throws(ConfigError) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        if let file = settings.caFile {
            guard let authorities = try? CertificateFiles.certificates(file) else {
                throw ConfigError(SettingsCatalogue.leaderCAFile.name, .inconsistent("\(file) is not a PEM file with certificates"))
            }
            configuration.trustRoots = .certificates(authorities)
        }
        if let certificate = settings.certificateFile ?? own?.certificateFile, let key = settings.keyFile ?? own?.keyFile {
            do throws(ServerTLSError) {
                let files = try CertificateFiles(certificateFile: certificate, keyFile: key)
                _ = try files.context()
                configuration.certificateChain = files.chain.map { .certificate($0) }
                configuration.privateKey = .privateKey(files.key)
            } catch {
                let name = settings.certificateFile == nil ? SettingsCatalogue.httpTLSCertificateFile.name : SettingsCatalogue.leaderCertificateFile.name
                throw ConfigError(name, .inconsistent("\(error)"))
            }
        }
        return configuration
    }
}
