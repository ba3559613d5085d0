import NIOCore
import NIOPosix
import PGChannel
import Testing

@Suite struct AddressPolicyTests {
    private static let refused = [
        "169.254.169.254", "169.254.0.1", "169.254.255.255", "0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "100.100.100.200", "168.63.129.16", "fe80::1", "febf::1",
        "::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "ff02::1", "::", "::ffff:0.0.0.0",
    ]
    private static let allowed = ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.253.1.1", "169.255.1.1", "::1", "fd00::1", "fec0::1", "2001:db8::1", "::ffff:127.0.0.1"]

    @Test func linkLocalAndMetadataAddressesAreRefusedInEveryForm() throws {
        for text in Self.refused {
            #expect(AddressPolicy.noMetadata.refusal(of: try SocketAddress(ipAddress: text, port: 5432)) != nil, "\(text)")
            #expect(AddressPolicy.any.refusal(of: try SocketAddress(ipAddress: text, port: 5432)) == nil)
        }
        for text in Self.allowed { #expect(AddressPolicy.noMetadata.refusal(of: try SocketAddress(ipAddress: text, port: 5432)) == nil, "\(text)") }
        for name in ["metadata.google.internal", "METADATA.google.internal.", "metadata", "instance-data"] { #expect(AddressPolicy.noMetadata.refusal(ofHost: name) != nil) }
        #expect(AddressPolicy.noMetadata.refusal(ofHost: "db.example.com") == nil)
    }

    /// As people write addresses who want them not to be recognised: the system's resolver decides what they mean.
    @Test(arguments: ["169.254.169.254", "[fe80::1]", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "[::ffff:a9fe:a9fe]", "0", "metadata.google.internal"])
    func theConnectionIsRefusedBeforeAnythingIsSent(_ host: String) async throws {
        var options = PGClient.Options()
        options.addresses = .noMetadata
        options.connectTimeout = .seconds(60)
        let endpoint = try PostgresEndpoint.parse("postgres://u@\(host):5432/d")
        let error = await #expect(throws: PGClientError.self) { try await PGClient.connect(to: endpoint, on: MultiThreadedEventLoopGroup.singleton, options: options) }
        guard case .connect(.addressRefused)? = error?.cause else {
            Issue.record("\(host): \(String(describing: error))")
            return
        }
    }
}
