/// The files of the REST API's certificate; without them it does not speak TLS.
package struct HTTPTLSFiles: Hashable, Sendable {
    package var certificateFile: String
    package var keyFile: String

    package init(certificateFile: String, keyFile: String) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }

    init?(_ values: ResolvedSettings) {
        guard let certificate = values.path(SettingsCatalogue.httpTLSCertificateFile), let key = values.path(SettingsCatalogue.httpTLSKeyFile) else { return nil }
        self.init(certificateFile: certificate, keyFile: key)
    }

    /// One without the other: TLS was meant, and would be left out.
    static func check(_ values: ResolvedSettings) throws(ConfigError) {
        let (certificate, key) = (SettingsCatalogue.httpTLSCertificateFile, SettingsCatalogue.httpTLSKeyFile)
        guard (values.path(certificate) == nil) != (values.path(key) == nil) else { return }
        let (given, missing) = values.path(key) == nil ? (certificate, key) : (key, certificate)
        throw ConfigError(given.name, .inconsistent("needs \(missing.name)"))
    }
}
