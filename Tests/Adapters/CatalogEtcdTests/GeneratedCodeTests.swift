import Crypto
import Foundation
import Testing

/// The committed code is what scripts/generate-etcd made of the committed .proto files, with the plugins of the packages that are used. (Whether it makes
/// the same again: `scripts/generate-etcd --check`.)
@Suite struct GeneratedCodeTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    private static let folder = root.appending(path: "Sources/Adapters/CatalogEtcd")

    /// Each line: a digest and a file, or a plugin and its version.
    private func recorded() throws -> [String: String] {
        let lines = try String(contentsOf: Self.folder.appending(path: "Generated/SOURCES"), encoding: .utf8).split(separator: "\n")
        return try lines.reduce(into: [:]) { recorded, line in
            let words = line.split(separator: " ").map(String.init)
            try #require(words.count == 2)
            if words[1].hasPrefix("./") { recorded[String(words[1].dropFirst(2))] = words[0] } else { recorded[words[0]] = words[1] }
        }
    }

    @Test func theGeneratedCodeIsThatOfTheProtoFiles() throws {
        let recorded = try recorded()
        var found: Set<String> = []
        for (folder, ending) in [("Protocol", "proto"), ("Generated", "swift")] {
            for name in try FileManager.default.contentsOfDirectory(atPath: Self.folder.appending(path: folder).path) where name.hasSuffix(ending) {
                let digest = SHA256.hash(data: try Data(contentsOf: Self.folder.appending(path: "\(folder)/\(name)")))
                #expect(recorded[name] == digest.map { String(format: "%02x", $0) }.joined(), "\(name): run scripts/generate-etcd")
                found.insert(name)
            }
        }
        #expect(found == ["etcd.proto", "catalog.proto", "etcd.pb.swift", "etcd.grpc.swift", "catalog.pb.swift"])
    }

    @Test func theGeneratedCodeIsOfTheVersionsInUse() throws {
        let recorded = try recorded()
        let pins = try JSONSerialization.jsonObject(with: Data(contentsOf: Self.root.appending(path: "Package.resolved"))) as? [String: Any]
        for (plugin, package) in [("protoc-gen-swift", "swift-protobuf"), ("protoc-gen-grpc-swift-2", "grpc-swift-protobuf")] {
            let pin = try #require((pins?["pins"] as? [[String: Any]])?.first { $0["identity"] as? String == package })
            #expect((pin["state"] as? [String: Any])?["version"] as? String == recorded[plugin], "\(package): run scripts/generate-etcd")
        }
    }
}
