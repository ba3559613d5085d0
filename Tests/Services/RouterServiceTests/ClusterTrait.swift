import ClusterTestKit
import Testing

/// One cluster for all the tests of a suite: `TestCluster.current` in them.
struct ClusterTrait: SuiteTrait, TestScoping {
    var options: TestCluster.Options
    /// Run through the router first.
    var statements: [String]

    func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
        try await TestCluster.with(options) { [statements] cluster in
            for statement in statements { try await cluster.rows(statement) }
            try await Current.$cluster.withValue(cluster) { try await function() }
        }
    }

    fileprivate enum Current {
        @TaskLocal static var cluster: TestCluster?
    }
}

extension TestCluster {
    /// The cluster of the suite's `.cluster` trait.
    static var current: TestCluster {
        get throws { try #require(ClusterTrait.Current.cluster) }
    }
}

extension Trait where Self == ClusterTrait {
    static func cluster(_ options: TestCluster.Options = .init(), after statements: [String] = []) -> Self {
        ClusterTrait(options: options, statements: statements)
    }
}
