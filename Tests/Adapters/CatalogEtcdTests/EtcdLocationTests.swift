import CatalogEtcd
import Testing

@Suite struct EtcdLocationTests {
    @Test func endpointsUserAndPrefixAreRead() throws {
        let location = try EtcdLocation.parse("etcd://app@10.0.0.1,node-2.example:3379,[::1]:2380?password=env:ETCD&prefix=/clusters/a%20b")
        #expect(location.endpoints.map(\.description) == ["10.0.0.1:2379", "node-2.example:3379", "[::1]:2380"])
        #expect(location.user == "app" && location.password == .environment("ETCD") && location.tls == nil)
        #expect(location.prefix == "/clusters/a b/")
        #expect("\(location)" == "etcd://app@10.0.0.1:2379,node-2.example:3379,[::1]:2380?prefix=/clusters/a%20b/")
        let plain = try EtcdLocation.parse("etcd://localhost/")
        #expect(plain.prefix == "/pgmosaic/" && "\(plain)" == "etcd://localhost:2379")
    }

    @Test func tlsHasItsFiles() throws {
        let location = try EtcdLocation.parse("etcds://a,b?cacert=/ca.pem&cert=/c.pem&key=/k.pem")
        #expect(location.tls?.authorities == "/ca.pem" && location.tls?.certificate == "/c.pem" && location.tls?.key == "/k.pem")
        #expect(try EtcdLocation.parse("etcds://a?cacert=system").tls?.authorities == nil)
    }

    @Test func passwordsAreNeverShown() throws {
        for text in ["etcd://app:geheim@h", "etcd://app@h?password=geheim"] {
            let location = try EtcdLocation.parse(text)
            #expect(location.password == .literal("geheim"))
            var dumped = ""
            dump(location, to: &dumped)
            #expect(!"\(location)\(String(reflecting: location))\(dumped)\(location.password.map { "\($0)" } ?? "")".contains("geheim"))
        }
    }

    @Test(arguments: [
        ("http://h", .notAnEtcdURL), ("etcd://", .missingHost), ("etcd://a,,b", .missingHost), ("etcd://a:0", .invalidPort), ("etcd://a:70000", .invalidPort),
        ("etcd://a:x", .invalidPort), ("etcd://[::1", .missingHost), ("etcd://a,a", .repeatedEndpoint), ("etcd://a/db", .path),
        ("etcd://u:p/geheim@h", .unescapedCharacter), ("etcd://u:p?geheim@h", .unescapedCharacter), ("etcd://a%zz", .invalidPercentEncoding),
        ("etcd://a?prefix", .missingValue), ("etcd://a?prefix=", .missingValue), ("etcd://a?x=1", .unknownParameter),
        ("etcd://a?prefix=/a&prefix=/b", .repeatedParameter), ("etcd://u@a", .userWithoutPassword), ("etcd://a?password=env:X", .passwordWithoutUser),
        ("etcd://a?cacert=/ca", .filesWithoutTLS), ("etcds://a?cert=/c", .certificateWithoutKey), ("etcds://a?key=/k", .certificateWithoutKey),
    ] as [(String, EtcdLocationError.Reason)])
    func whatMakesNoSenseIsRefusedWithoutBeingQuoted(_ text: String, _ reason: EtcdLocationError.Reason) throws {
        let error = try #require(throws: EtcdLocationError.self) { try EtcdLocation.parse(text) }
        #expect(error.reason == reason)
        #expect(!error.description.contains("geheim"))
    }

    @Test func endpointsAreBounded() throws {
        let hosts = (0..<16).map { "h\($0)" }
        #expect(try EtcdLocation.parse("etcd://" + hosts.joined(separator: ",")).endpoints.count == 16)
        #expect(throws: EtcdLocationError(.tooManyEndpoints)) { try EtcdLocation.parse("etcd://more," + hosts.joined(separator: ",")) }
    }
}
