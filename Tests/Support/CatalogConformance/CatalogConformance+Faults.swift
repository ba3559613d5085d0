package import CatalogStore
internal import ShardModel

/// A catalog on a server, which a check may harm.
package protocol HarmableCatalog: CatalogUnderTest {
    /// A store whose calls end within a second or two when the server does not answer, over a line that can be cut.
    func openOverLine() async throws -> any CatalogStore
    /// Ends the server as a crash would, and starts it again.
    func crash() async throws
    /// Freezes the server: connections stay, nothing is answered.
    func stall() async throws
    func resume() async throws
    /// Ends every connection of the line, and lets none come about.
    func cut() async throws
    /// Holds back whatever is sent over the line; it arrives when the line is mended.
    func silence() async throws
    func mend() async throws
}

/// What a store on a server must do when the server, or the way to it, fails.
package struct CatalogFaultConformance: Sendable {
    package struct Check: Sendable, CustomStringConvertible {
        package var name: String
        package var run: @Sendable (any HarmableCatalog) async throws -> Void
        package var description: String { name }
    }

    package static let checks: [Check] = [
        check("fifty writers lose and double nothing while the server crashes") { try await $0.writersSurvive(.crash) },
        check("fifty writers lose and double nothing while the server stalls") { try await $0.writersSurvive(.stall) },
        check("fifty writers lose and double nothing while lines are cut") { try await $0.writersSurvive(.cut) },
        check("fifty writers lose and double nothing while lines fall silent") { try await $0.writersSurvive(.silence) },
        check("calls on a stalled server end with a clear error, and go well afterwards") { try await $0.callsEnd(.stall) },
        check("calls over a cut line end with a clear error, and go well afterwards") { try await $0.callsEnd(.cut) },
        check("calls over a silent line end with a clear error, and go well afterwards") { try await $0.callsEnd(.silence) },
        check("a watch goes on behind a crash of the server") { try await $0.watchGoesOn(.crash) },
        check("a watch goes on behind a stall of the server") { try await $0.watchGoesOn(.stall) },
        check("a watch goes on behind a cut line, with what was committed meanwhile") { try await $0.watchGoesOn(.cut) },
        check("a watch goes on behind a silent line, with what was committed meanwhile") { try await $0.watchGoesOn(.silence) },
        check("a lease and its token outlive a crash of the server") { try await $0.leaseOutlivesCrash() },
        check("a leader behind a cut line commits nothing after the next one has begun") { try await $0.fenceHoldsBehind(.cut) },
        check("a leader behind a silent line commits nothing after the next one has begun, when what it sent arrives") {
            try await $0.fenceHoldsBehind(.silence)
        },
    ]

    let catalog: any HarmableCatalog
    private var suite: CatalogConformance { CatalogConformance(catalog: catalog) }

    private static func check(_ name: String, _ body: @escaping @Sendable (Self) async throws -> Void) -> Check {
        Check(name: name) { catalog in try await body(CatalogFaultConformance(catalog: catalog)) }
    }
}

extension CatalogFaultConformance {
    enum Fault { case crash, stall, cut, silence }

    /// The fault's beginning; its end is `mend`. A crash is over at once.
    func cause(_ fault: Fault) async throws {
        switch fault {
        case .crash: try await catalog.crash()
        case .stall: try await catalog.stall()
        case .cut: try await catalog.cut()
        case .silence: try await catalog.silence()
        }
    }

    func end(_ fault: Fault) async throws {
        switch fault {
        case .crash: break
        case .stall: try await catalog.resume()
        case .cut, .silence: try await catalog.mend()
        }
    }

    // MARK: writers

    /// Each writer counts in a setting of its own. `unavailable` promises that nothing was written and `unknownOutcome` is looked up, so the count is exact
    /// unless a store says what is not so.
    func writersSurvive(_ fault: Fault) async throws {
        let (writers, rounds) = (50, WriterRounds.of(3))
        var stores: [any CatalogStore] = []
        for _ in 0..<5 { stores.append(try await catalog.openOverLine()) }
        let all = stores
        try await suite.within("the writers", limit: .seconds(240)) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<writers {
                    group.addTask { for round in 1...rounds { try await Self.count(to: round, writer, all[writer % all.count]) } }
                }
                group.addTask {
                    for pause in [300, 700, 1100] {
                        try await Task.sleep(for: .milliseconds(pause))
                        try await cause(fault)
                        try await Task.sleep(for: .milliseconds(1500))
                        try await end(fault)
                    }
                }
                try await group.waitForAll()
            }
        }
        let witness = try await catalog.open()
        let last = try await witness.load()
        for writer in 0..<writers {
            try suite.expect(last.settings["writer \(writer)"] == String(rounds), "writer \(writer) has counted to \(rounds)")
        }
        try suite.expect(last.epoch == Epoch(UInt64(writers * rounds)), "each count made one epoch: \(last.epoch)")
        let times = try await witness.history(limit: 1000).map(\.epoch.number)
        try suite.expect(times == Array((1...UInt64(writers * rounds)).reversed()), "the history has each once")
        for store in all { try suite.expect(try await Self.patiently { try await store.load() } == last, "every store has the same end") }
        for store in all + [witness] { try await catalog.close(store) }
    }

    private static func count(to number: Int, _ writer: Int, _ store: any CatalogStore) async throws {
        let name = "writer \(writer)"
        while true {
            let now = try await patiently { try await store.load() }
            let current = now.settings[name].flatMap { Int($0) } ?? 0
            if current == number { return }
            guard current == number - 1 else { throw ConformanceFailure(description: "\(name) is at \(current) while it counts to \(number)") }
            do throws(CatalogError) {
                _ = try await store.commit(CatalogChange([.setSetting(name: name, value: String(number))], author: name), expecting: now.epoch)
                return
            } catch {
                switch error {
                case .conflict: break
                case .unavailable:
                    // Nothing was written, now or later: the other writers' progress shows it at the end.
                    try await Task.sleep(for: .milliseconds(100))
                case .unknownOutcome: try await Task.sleep(for: .milliseconds(100))
                case .invalid, .foreign, .fenced: throw error
                }
            }
        }
    }

    /// Again while the server is away.
    package static func patiently<Value>(_ call: () async throws -> Value) async throws -> Value {
        while true {
            do {
                return try await call()
            } catch CatalogError.unavailable, CatalogError.unknownOutcome {
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    // MARK: calls

    func callsEnd(_ fault: Fault) async throws {
        let store = try await catalog.openOverLine()
        try await Self.advance(store, to: 1)
        try await cause(fault)
        try await suite.within("an error", limit: .seconds(60)) {
            let loading = try await suite.failure("a load") { () throws(CatalogError) in try await store.load() }
            guard case .unavailable = loading else { throw ConformanceFailure(description: "a load: \(loading)") }
            let storing = try await suite.failure("a commit") { () throws(CatalogError) in
                try await store.commit(SampleCatalog.numbering(2), expecting: Epoch(1))
            }
            guard case .unavailable = storing else { throw ConformanceFailure(description: "a commit that could not begin: \(storing)") }
            _ = try await suite.failure("a lease") { () throws(CatalogError) in try await store.acquireLease("l", holder: "a", ttl: .seconds(60)) }
            _ = try await suite.failure("an announcement's end") { () throws(CatalogError) in try await store.withdraw(memberID: "a") }
        }
        try await end(fault)
        try await suite.within("the end of the fault", limit: .seconds(60)) {
            try suite.expect(try await Self.patiently { try await store.load() }.epoch == Epoch(1), "nothing was written meanwhile")
            try await Self.advance(store, to: 2)
        }
        try await catalog.close(store)
    }

    // MARK: watches

    func watchGoesOn(_ fault: Fault) async throws {
        let (watching, other) = (try await catalog.openOverLine(), try await catalog.open())
        try await suite.within("the watch", limit: .seconds(120)) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    var last = Epoch.zero
                    for await snapshot in watching.watch(after: .zero) {
                        try suite.expect(snapshot.epoch > last, "epoch \(snapshot.epoch) does not follow \(last)")
                        try suite.expect(snapshot.settings["n"] == String(snapshot.epoch.number), "the snapshot is that epoch's")
                        last = snapshot.epoch
                        if last == Epoch(6) { return }
                    }
                    throw ConformanceFailure(description: "the watch ended at \(last)")
                }
                group.addTask {
                    for number in 1...2 { try await Self.advance(other, to: number) }
                    try await cause(fault)
                    // A stalled server takes nothing from anybody.
                    if fault != .stall { for number in 3...4 { try await Self.advance(other, to: number) } }
                    try await Task.sleep(for: .seconds(3))
                    try await end(fault)
                    for number in (fault == .stall ? 3 : 5)...6 { try await Self.advance(other, to: number) }
                }
                try await group.waitForAll()
            }
        }
        for store in [watching, other] { try await catalog.close(store) }
    }

    /// Commits the number, however busy the machine is.
    private static func advance(_ store: any CatalogStore, to number: Int, fence: Lease? = nil) async throws {
        while try await patiently({ try await store.load() }).epoch < Epoch(UInt64(number)) {
            do throws(CatalogError) {
                _ = try await store.commit(SampleCatalog.numbering(number), expecting: Epoch(UInt64(number - 1)), fence: fence, keeping: nil)
            } catch {
                if case .invalid = error { throw error }
            }
        }
    }

    // MARK: leases

    func leaseOutlivesCrash() async throws {
        let store = try await catalog.openOverLine()
        guard let lease = try await Self.patiently({ try await store.acquireLease("leader", holder: "a", ttl: .seconds(300)) }) else {
            throw ConformanceFailure(description: "the free lease is not given")
        }
        try await catalog.crash()
        let renewed = try await Self.patiently { try await store.acquireLease("leader", holder: "a", ttl: .seconds(300)) }
        try suite.expect(renewed == lease, "its holder renews it")
        let other = try await Self.patiently { try await store.acquireLease("leader", holder: "b", ttl: .seconds(60)) }
        try suite.expect(other == nil, "nobody else gets it")
        try await catalog.close(store)
    }
}

// MARK: fencing

extension CatalogFaultConformance {
    /// The leader begins commits whose line fails; meanwhile the lease changes hands, and the next leader commits. Then the line comes back.
    func fenceHoldsBehind(_ fault: Fault) async throws {
        let (old, next) = (try await catalog.openOverLine(), try await catalog.open())
        guard let first = try await Self.patiently({ try await old.acquireLease("leader", holder: "a", ttl: .seconds(300)) }) else {
            throw ConformanceFailure(description: "the free lease is not given")
        }
        try await Self.advance(old, to: 1, fence: first)
        try await suite.within("the change of leaders", limit: .seconds(120)) {
            try await cause(fault)
            async let late: [CatalogError?] = withTaskGroup(of: CatalogError?.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        do throws(CatalogError) {
                            _ = try await old.commit(SampleCatalog.numbering(99), expecting: Epoch(1), fence: first, keeping: nil)
                            return nil
                        } catch {
                            return error
                        }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            try await Task.sleep(for: .milliseconds(200))
            // As an expiry would end it.
            try await next.releaseLease(first)
            guard let second = try await next.acquireLease("leader", holder: "b", ttl: .seconds(300)) else {
                throw ConformanceFailure(description: "the released lease is not given")
            }
            try await end(fault)
            for error in await late { try suite.expect(error != nil, "no commit of the old leader is acknowledged") }
            let now = try await next.load()
            try suite.expect(now.settings["n"] == "1", "none of them took effect")
            _ = try await next.commit(SampleCatalog.numbering(2), expecting: now.epoch, fence: second, keeping: nil)
            let error = try await suite.failure("the old leader's next commit") { () throws(CatalogError) in
                while true {
                    do throws(CatalogError) {
                        return try await old.commit(SampleCatalog.numbering(99), expecting: Epoch(2), fence: first, keeping: nil)
                    } catch {
                        // The line may take a moment.
                        guard case .unavailable = error else { throw error }
                    }
                }
            }
            guard case .fenced = error else { throw ConformanceFailure(description: "the old leader's next commit: \(error)") }
            let tokens = try await next.history(limit: 10).map(\.fencingToken)
            try suite.expect(tokens == [second.fencingToken, first.fencingToken], "the history has the two, in order: \(tokens)")
        }
        for store in [old, next] { try await catalog.close(store) }
    }
}
