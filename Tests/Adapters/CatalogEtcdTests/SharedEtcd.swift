import CatalogEtcd
import CatalogStore
import EtcdTestKit
import Foundation
import ShardModel
import Testing

/// One member for all tests of a suite, each of which takes a prefix of its own.
struct SharedEtcdTrait: SuiteTrait, TestScoping {
    func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
        try await EtcdCluster.with { cluster in try await SharedEtcd.$cluster.withValue(cluster) { try await function() } }
    }
}

enum SharedEtcd {
    @TaskLocal static var cluster: EtcdCluster?
    static var current: EtcdCluster { get throws { try #require(cluster, "the suite lacks its trait") } }
    static func newPrefix() -> String { "/catalog-\(UUID().uuidString)/" }
}

extension SuiteTrait where Self == SharedEtcdTrait {
    static var sharedEtcd: SharedEtcdTrait { SharedEtcdTrait() }
}

func numbering(_ number: Int) -> CatalogChange { CatalogChange([.setSetting(name: "n", value: String(number))], author: "test") }

struct UnexpectedError: Error { var error: CatalogError? }

func catalogError(_ body: () async throws -> some Any) async throws -> CatalogError {
    try #require(await #expect(throws: CatalogError.self) { _ = try await body() })
}
