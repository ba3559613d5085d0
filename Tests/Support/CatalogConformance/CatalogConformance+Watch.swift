internal import CatalogStore
internal import ShardModel

extension CatalogConformance {
    func watchIsOrdered() async throws {
        let total = 60
        try await withStores(3) { stores in
            try await within("the watchers") {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for watcher in 0..<6 {
                        let store = stores[watcher % stores.count]
                        // Half of them leave after each few snapshots and come back from where they were.
                        group.addTask { try await follow(store, to: Epoch(UInt64(total)), leavingAfter: watcher < 3 ? .max : 1 + watcher % 3) }
                    }
                    group.addTask {
                        for number in 1...total {
                            _ = try await stores[number % 2].commit(SampleCatalog.numbering(number), expecting: Epoch(UInt64(number - 1)))
                            if number.isMultiple(of: 7) { try await Task.sleep(for: .milliseconds(30)) }
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
    }

    private func follow(_ store: any CatalogStore, to end: Epoch, leavingAfter limit: Int) async throws {
        var last = Epoch.zero
        while last < end {
            var seen = 0
            for await snapshot in store.watch(after: last) {
                try expect(snapshot.epoch > last, "epoch \(snapshot.epoch) does not follow \(last)")
                try expect(snapshot.settings["n"] == String(snapshot.epoch.number), "the snapshot of \(snapshot.epoch) is that epoch's")
                last = snapshot.epoch
                seen += 1
                if last == end || seen == limit { break }
            }
            try Task.checkCancellation()
            try expect(seen > 0, "a watch does not end by itself")
        }
    }

    func watchStartsAnywhere() async throws {
        try await withStores(2) { stores in
            for number in 1...4 { _ = try await stores[0].commit(SampleCatalog.numbering(number), expecting: Epoch(UInt64(number - 1))) }
            for store in stores {
                for after in 0..<4 as Range<UInt64> {
                    var last = Epoch(after)
                    while last < Epoch(4) {
                        let next = try await first(of: store, after: last)
                        try expect(next > last && next <= Epoch(4), "after \(last) comes something newer, not \(next)")
                        last = next
                    }
                }
            }
            // From the newest on, nothing comes until there is something newer; also in the other store.
            async let next = first(of: stores[1], after: Epoch(4))
            try await Task.sleep(for: .milliseconds(200))
            _ = try await stores[0].commit(SampleCatalog.numbering(5), expecting: Epoch(4))
            let epoch = try await next
            try expect(epoch == Epoch(5), "the next one is 5, not \(epoch)")
        }
    }

    private func first(of store: any CatalogStore, after epoch: Epoch) async throws -> Epoch {
        try await within("a watch after \(epoch)") {
            for await snapshot in store.watch(after: epoch) { return snapshot.epoch }
            throw ConformanceFailure(description: "the watch after \(epoch) ended")
        }
    }

    func sleepingWatcherGetsNewest() async throws {
        try await withStores(2) { stores in
            let total = 40
            for store in stores {
                let start = try await store.load().epoch.number
                let stream = store.watch(after: Epoch(start))
                for number in 1...total {
                    let next = Int(start) + number
                    _ = try await stores[0].commit(SampleCatalog.numbering(next), expecting: Epoch(UInt64(next - 1)))
                }
                let newest = Epoch(start + UInt64(total))
                try await within("the newest") {
                    var last = Epoch(start)
                    for await snapshot in stream {
                        try expect(snapshot.epoch > last, "epoch \(snapshot.epoch) does not follow \(last)")
                        last = snapshot.epoch
                        if last == newest { return }
                    }
                    throw ConformanceFailure(description: "the watch ended at \(last)")
                }
            }
        }
    }

    func cancelledWatchEnds() async throws {
        try await withStore { store in
            let task = Task { for await _ in store.watch(after: .zero) {} }
            try await Task.sleep(for: .milliseconds(50))
            task.cancel()
            try await within("the end of a cancelled watch") { await task.value }
        }
    }
}
