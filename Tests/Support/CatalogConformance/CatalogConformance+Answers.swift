internal import CatalogStore
internal import ShardModel

// Answers to requests, which are kept together with the changes that the requests made.

extension CatalogConformance {
    private func answer(_ key: String, _ number: Int = 1) -> KeptAnswer {
        KeptAnswer(key: key, digest: "digest \(number)", status: 201, body: "{\"text\": \"a 'quoted'\\n \\u0000 {value} ä \(number)\"}", time: 1_700_000_000.25)
    }

    func answerIsKeptWithItsChange() async throws {
        try await withStores(2) { stores in
            for store in stores { try expect(try await store.keptAnswer("k") == nil, "there is none at first") }
            _ = try await stores[0].commit(SampleCatalog.numbering(1), expecting: .zero, fence: nil, keeping: answer("k"))
            for store in stores { try expect(try await store.keptAnswer("k") == answer("k"), "it is there with the change") }
            _ = try await failure("a stale commit") { () throws(CatalogError) in
                try await stores[1].commit(SampleCatalog.numbering(9), expecting: .zero, fence: nil, keeping: answer("lost"))
            }
            _ = try await failure("a wrong commit") { () throws(CatalogError) in
                let wrong = CatalogChange([.deleteUser(name: "nobody", version: 1)], author: "a")
                return try await stores[1].commit(wrong, expecting: Epoch(1), fence: nil, keeping: answer("lost"))
            }
            try expect(try await stores[0].keptAnswer("lost") == nil, "an answer without its change is not kept")
            var empty = answer("empty")
            empty.body = ""
            _ = try await stores[1].commit(SampleCatalog.numbering(2), expecting: Epoch(1), fence: nil, keeping: empty)
            try expect(try await stores[0].keptAnswer("empty") == empty, "an answer without a body is kept as it is")
            // The longest that is kept, beside a change that etcd just takes.
            let long = KeptAnswer(key: "long", digest: "d", status: 200, body: String(repeating: "x", count: KeptAnswer.bodyMax), time: 1)
            let large = CatalogChange((0..<90).map { .setSetting(name: "n\($0)", value: String(repeating: "v", count: 4000)) }, author: "a")
            _ = try await stores[0].commit(large, expecting: Epoch(2), fence: nil, keeping: long)
            try expect(try await stores[1].keptAnswer("long")?.body?.count == KeptAnswer.bodyMax, "the longest is kept")
            let tooLong = KeptAnswer(key: "too long", digest: "d", status: 200, body: long.body.map { $0 + "x" }, time: 1)
            _ = try await stores[0].commit(SampleCatalog.numbering(4), expecting: Epoch(3), fence: nil, keeping: tooLong)
            let kept = try await stores[1].keptAnswer("too long")
            try expect(kept != nil && kept?.body == nil, "of a longer one is kept that there was one")
        }
        try await withStore { store in try expect(try await store.keptAnswer("k") == answer("k"), "it is there after opening again") }
    }

    func oneAnswerForOneKey() async throws {
        let writers = 20
        try await withStores(4) { stores in
            let committed = try await withThrowingTaskGroup(of: Int?.self) { group in
                for writer in 0..<writers {
                    let (store, answer) = (stores[writer % stores.count], answer("k", writer))
                    group.addTask {
                        while true {
                            // In this order: what is committed in between is either seen or makes the epoch another.
                            let now = try await store.load()
                            if try await store.keptAnswer("k") != nil { return nil }
                            do throws(CatalogError) {
                                _ = try await store.commit(SampleCatalog.numbering(writer), expecting: now.epoch, fence: nil, keeping: answer)
                                return writer
                            } catch {
                                guard case .conflict = error else { throw error }
                            }
                        }
                    }
                }
                return try await group.reduce(into: [Int]()) { if let writer = $1 { $0.append(writer) } }
            }
            try expect(committed.count == 1, "one of them commits, not \(committed)")
            for store in stores { try expect(try await store.keptAnswer("k") == answer("k", committed[0]), "its answer is the one that is kept") }
        }
    }

    func answersAreSwept() async throws {
        try await withStore { store in
            var epoch = Epoch.zero
            func commit(_ answer: KeptAnswer?) async throws {
                epoch = try await store.commit(SampleCatalog.numbering(Int(epoch.number) + 1), expecting: epoch, fence: nil, keeping: answer).epoch
            }
            for key in ["first", "second", "again"] { try await commit(answer(key)) }
            while epoch.number < UInt64(KeptAnswer.keptMax) { try await commit(nil) }
            try expect(try await store.keptAnswer("first") != nil, "the oldest is kept for \(KeptAnswer.keptMax) epochs")
            try await commit(nil)
            try expect(try await store.keptAnswer("first") == nil, "and no longer")
            try expect(try await store.keptAnswer("second") != nil, "the next one still is")
            try await commit(nil)
            try await commit(nil)
            try await commit(answer("again", 2))
            for _ in 0..<3 { try await commit(answer("new")) }
            try expect(try await store.keptAnswer("again") == answer("again", 2), "a key that came again is not swept with the old one")
            for key in ["first", "second"] { try expect(try await store.keptAnswer(key) == nil, "\(key) is gone") }
        }
    }
}
