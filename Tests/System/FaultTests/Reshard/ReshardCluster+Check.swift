import Testing

extension ReshardCluster {
    /// No statement has failed, every acknowledged row is with its owner and nowhere else, the copies of the reference table are the same, and nothing of a job
    /// is left.
    func check(_ load: ReshardLoad, shards: Range<Int> = 0..<3, _ location: SourceLocation = #_sourceLocation) async throws {
        let tally = load.now
        print("\(tally.statements) statements, the slowest \(tally.slowest)")
        #expect(tally.failures == [], sourceLocation: location)
        #expect(tally.rows.count > 10, sourceLocation: location)
        let (owned, elsewhere) = try await rows()
        #expect(owned == tally.rows, sourceLocation: location)
        #expect(elsewhere == 0, sourceLocation: location)
        #expect(try await leftovers() == [], sourceLocation: location)
        for index in shards {
            let found = Set(try await on(index, "SELECT id FROM ref").split(separator: "\n").compactMap { Int64($0) })
            #expect(found == tally.references, "reference rows on s\(index + 1)", sourceLocation: location)
        }
    }
}
