import ClusterTestKit
import Foundation
import PGChannel
import Testing

/// `CornerStatements` over all shards, and on one plain PostgreSQL with the same rows; in continuous integration each in one form.
@Suite struct CornerTests {
    @Test func whatIsEasilyWrongIsOnePostgreSQLsAnswer() async throws {
        try await FinisherTests.withBoth { cluster, router, plain in
            let isShort = ProcessInfo.processInfo.environment["CI"] != nil
            for (place, statement) in CornerStatements.all.enumerated() {
                for (number, form) in AcrossForm.allCases.enumerated() where !isShort || number == place % AcrossForm.allCases.count {
                    let expected = try await form.run(plain, statement), answer = try await form.run(router, statement)
                    #expect((expected.sqlState == nil) == !CornerStatements.errors.contains(statement), "\(statement): \(expected.sqlState ?? "no error")")
                    #expect(answer.comparable(of: statement) == expected.comparable(of: statement), "\(form): \(statement)")
                }
            }
            try await FinisherTests.expectNothingLeft(on: cluster)
        }
    }

    @Test func theCorpusHasFiveHundredStatements() {
        #expect(Set(AcrossStatements.all + FinisherStatements.all + AcrossWrites.all + CornerStatements.all).count >= 500)
    }
}
