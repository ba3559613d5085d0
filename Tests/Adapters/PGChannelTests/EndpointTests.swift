import Foundation
import NIOCore
import PGChannel
import Testing

@Suite struct EndpointTests {
    private func parse(_ text: String) throws -> PostgresEndpoint { try PostgresEndpoint.parse(text) }

    @Test func aURLGivesEveryPartOfAnEndpoint() throws {
        let endpoint = try parse("postgres://alice:secret@db.example:6000/shop?sslmode=verify-full&sslrootcert=/ca.pem&connect_timeout=3&application_name=a%20b")
        #expect(endpoint.address == .tcp(host: "db.example", port: 6000))
        #expect(endpoint.user == "alice")
        #expect(endpoint.password == .literal("secret"))
        #expect(endpoint.database == "shop")
        #expect(endpoint.tlsMode == .verifyFull)
        #expect(endpoint.rootCertificate == "/ca.pem")
        #expect(endpoint.connectTimeout == .seconds(3))
        #expect(endpoint.applicationName == "a b")
    }

    @Test func whatIsLeftOutHasLibpqsDefaults() throws {
        let endpoint = try parse("postgresql://db")
        #expect(endpoint.address == .tcp(host: "db", port: 5432))
        #expect(endpoint.user == nil)
        #expect(endpoint.database == nil)
        #expect(endpoint.password == .none)
        #expect(endpoint.tlsMode == .prefer)
        #expect(endpoint.connectTimeout == nil)
        #expect(try parse("postgres://db/").database == nil)
        #expect(try parse("postgres://db:/x").address == .tcp(host: "db", port: 5432))
        #expect(try parse("postgres://db?connect_timeout=0").connectTimeout == nil)
        #expect(try parse("postgres://db?sslrootcert=system").rootCertificate == nil)
    }

    @Test(arguments: [
        ("postgres://u@[::1]:6000/d", PostgresEndpoint.Address.tcp(host: "::1", port: 6000)),
        ("postgres://[fe80::1]/d", .tcp(host: "fe80::1", port: 5432)),
        ("postgres://%2Frun%2Fpostgresql/d", .unix(directory: "/run/postgresql", port: 5432)),
        ("postgres:///d?host=/run/postgresql&port=6000", .unix(directory: "/run/postgresql", port: 6000)),
        ("postgres://u@/d?host=db&port=1", .tcp(host: "db", port: 1)),
        ("postgres://ignored:1/d?host=db&port=65535", .tcp(host: "db", port: 65_535)),
    ]) func hostsAreNamesAddressesOrFolders(_ url: String, _ address: PostgresEndpoint.Address) throws {
        #expect(try parse(url).address == address)
        #expect(try parse(url).database == "d")
    }

    @Test func partsArePercentDecodedAndParametersMayNameThem() throws {
        let endpoint = try parse("postgres://a%40b:p%3A%2F%3F%40%25@db/d%20%C3%A9")
        #expect(endpoint.user == "a@b")
        #expect(endpoint.password == .literal("p:/?@%"))
        #expect(endpoint.database == "d é")
        let named = try parse("postgres://db?user=u&dbname=d&password=p%26q")
        #expect(named.user == "u")
        #expect(named.database == "d")
        #expect(named.password == .literal("p&q"))
    }

    @Test(arguments: [
        ("mysql://db", EndpointError(.notAPostgresURL)), ("", EndpointError(.notAPostgresURL)), ("db:5432", EndpointError(.notAPostgresURL)),
        ("postgres://", EndpointError(.missingHost)), ("postgres:///d", EndpointError(.missingHost)), ("postgres://[::1", EndpointError(.missingHost)),
        ("postgres://db:0/d", EndpointError(.invalidPort)), ("postgres://db:65536/d", EndpointError(.invalidPort)),
        ("postgres://db:x/d", EndpointError(.invalidPort)), ("postgres://::1/d", EndpointError(.invalidPort)),
        ("postgres://[::1]x/d", EndpointError(.invalidPort)), ("postgres://a,b/d", EndpointError(.severalHosts)),
        ("postgres://db/%zz", EndpointError(.invalidPercentEncoding)), ("postgres://db/%4", EndpointError(.invalidPercentEncoding)),
        ("postgres://db/%00", EndpointError(.invalidPercentEncoding)), ("postgres://db/%ff", EndpointError(.invalidPercentEncoding)),
        ("postgres://db?sslmode=allow", EndpointError(.invalidValue, name: "sslmode")),
        ("postgres://db?connect_timeout=-1", EndpointError(.invalidValue, name: "connect_timeout")),
        ("postgres://db?target_session_attrs=any", EndpointError(.unknownParameter, name: "target_session_attrs")),
        ("postgres://db?sslmode", EndpointError(.missingValue)),
    ]) func anythingElseIsRefusedWithItsReason(_ url: String, _ error: EndpointError) {
        #expect(throws: error) { try parse(url) }
        #expect(!error.description.isEmpty)
    }

    /// Passwords are pasted into URLs as they are: what goes wrong then must not show them.
    @Test(arguments: ["pa/ss", "pa?ss", "1/ss", "1?ss=1", "pa@ss", "pa:ss", "pa%ss", "pa#ss", "1?ss", "p&a=b"])
    func aPasswordThatIsNotEncodedIsShownNowhere(_ password: String) {
        do {
            let endpoint = try parse("postgres://u:\(password)@db/d")
            #expect(endpoint.password == .literal(password))
            #expect(!"\(endpoint)".contains("ss") && !"\(endpoint)".contains("p&a"))
        } catch {
            #expect(!"\(error)".contains("ss="), "\(error)")
            #expect((error as? EndpointError)?.name == nil)
        }
    }

    @Test func noFormOfAnEndpointShowsItsPassword() throws {
        var endpoint = try parse("postgres://alice:sesame@db/shop")
        var dumped = ""
        dump(endpoint, to: &dumped)
        let forms = ["\(endpoint)", endpoint.debugDescription, String(reflecting: endpoint), dumped, "\(endpoint.password)", String(reflecting: endpoint.password)]
        for form in forms { #expect(!form.contains("sesame"), "\(form)") }
        #expect("\(endpoint)" == "postgres://alice@db:5432/shop")
        endpoint.address = .tcp(host: "::1", port: 1)
        #expect("\(endpoint)" == "postgres://alice@[::1]:1/shop")
        endpoint.address = .unix(directory: "/run", port: 5432)
        #expect("\(endpoint)" == "postgres://alice@/shop?host=/run&port=5432")
    }

    @Test func aPasswordMayComeFromTheEnvironmentOrAFile() async throws {
        let variable = try parse("postgres://db?password=env:PGCHANNEL_TEST_UNSET_VARIABLE")
        #expect(variable.password == .environment("PGCHANNEL_TEST_UNSET_VARIABLE"))
        #expect(throws: EndpointError(.passwordUnavailable, name: "PGCHANNEL_TEST_UNSET_VARIABLE")) { try variable.resolvePassword() }
        #expect(try parse("postgres://db?password=env:PATH").resolvePassword()?.isEmpty == false)
        try await withTemporaryFolder { folder in
            let file = folder + "/password"
            try "first line\nsecond\n".write(toFile: file, atomically: true, encoding: .utf8)
            #expect(try parse("postgres://db?password=file:\(file)").resolvePassword() == "first line")
            #expect(throws: EndpointError(.passwordUnavailable, name: file + "x")) { try parse("postgres://db?password=file:\(file)x").resolvePassword() }
        }
    }
}
