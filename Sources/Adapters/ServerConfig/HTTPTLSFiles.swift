/// The files of the REST API's certificate; without them it does not speak TLS.
package struct HTTPTLSFiles: Hashable, Sendable {
    package var certificateFile: String
    package var keyFile: String
    /// Of the authorities of which whoever connects must show a certificate; nil: nobody is asked for one.
    package var clientAuthoritiesFile: String?

    package init(certificateFile: String, keyFile: String, clientAuthoritiesFile: String? = nil) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.clientAuthoritiesFile = clientAuthoritiesFile
    }

    init?(_ values: ResolvedSettings) {
        guard let certificate = values.path(SettingsCatalogue.httpTLSCertificateFile), let key = values.path(SettingsCatalogue.httpTLSKeyFile) else { return nil }
        self.init(certificateFile: certificate, keyFile: key, clientAuthoritiesFile: values.path(SettingsCatalogue.httpTLSClientCAFile))
    }

    /// One without the other: TLS was meant, and would be left out. Without it nobody can be asked for a certificate.
    static func check(_ values: ResolvedSettings) throws(ConfigError) {
        let (certificate, key) = (SettingsCatalogue.httpTLSCertificateFile, SettingsCatalogue.httpTLSKeyFile)
        if values.path(SettingsCatalogue.httpTLSClientCAFile) != nil, values.path(certificate) == nil {
            throw ConfigError(SettingsCatalogue.httpTLSClientCAFile.name, .inconsistent("needs \(certificate.name)"))
        }
        guard (values.path(certificate) == nil) != (values.path(key) == nil) else { return }
        let (given, missing) = values.path(key) == nil ? (certificate, key) : (key, certificate)
        throw ConfigError(given.name, .inconsistent("needs \(missing.name)"))
    }
}
