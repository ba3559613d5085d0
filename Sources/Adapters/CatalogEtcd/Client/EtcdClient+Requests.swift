internal import Foundation
internal import GRPCCore

/// A transaction: what must hold, and what is done where it does and where it does not.
struct EtcdTransaction: Sendable {
    var request = Etcdserverpb_TxnRequest()

    mutating func require(_ key: Data, createRevision: Int64) { require(key, .create, .createRevision(createRevision)) }
    mutating func require(_ key: Data, modRevision: Int64) { require(key, .mod, .modRevision(modRevision)) }
    mutating func require(_ key: Data, value: Data) { require(key, .value, .value(value)) }

    private mutating func require(_ key: Data, _ target: Etcdserverpb_Compare.CompareTarget, _ value: Etcdserverpb_Compare.OneOf_TargetUnion) {
        var compare = Etcdserverpb_Compare()
        compare.key = key
        compare.target = target
        compare.targetUnion = value
        request.compare.append(compare)
    }

    mutating func put(_ key: Data, _ value: Data, lease: Int64 = 0) { request.success.append(.put(key, value, lease: lease)) }
    mutating func delete(_ key: Data) { request.success.append(.delete(key, to: Data())) }
    mutating func delete(_ range: EtcdRange) { request.success.append(.delete(range.start, to: range.end)) }
    /// Read where the requirements hold, or where there are none.
    mutating func get(_ range: EtcdRange, limit: Int = 0, revision: Int64 = 0) {
        request.success.append(.get(range, limit: limit, revision: revision))
    }
    /// Read where they do not hold.
    mutating func otherwiseGet(_ range: EtcdRange) { request.failure.append(.get(range, limit: 0, revision: 0)) }
}

/// Keys from `start` up to `end`, exclusive; only `start` where `end` is empty.
struct EtcdRange: Hashable, Sendable {
    var start: Data
    var end = Data()
}

extension Etcdserverpb_RequestOp {
    fileprivate static func put(_ key: Data, _ value: Data, lease: Int64) -> Self {
        var put = Etcdserverpb_PutRequest()
        (put.key, put.value, put.lease) = (key, value, lease)
        var operation = Self()
        operation.requestPut = put
        return operation
    }

    fileprivate static func delete(_ key: Data, to end: Data) -> Self {
        var delete = Etcdserverpb_DeleteRangeRequest()
        (delete.key, delete.rangeEnd) = (key, end)
        var operation = Self()
        operation.requestDeleteRange = delete
        return operation
    }

    fileprivate static func get(_ range: EtcdRange, limit: Int, revision: Int64) -> Self {
        var operation = Self()
        operation.requestRange = .init(range, limit: limit, revision: revision)
        return operation
    }
}

extension Etcdserverpb_RangeRequest {
    init(_ range: EtcdRange, limit: Int, revision: Int64) {
        self.init()
        (key, rangeEnd, self.limit, self.revision) = (range.start, range.end, Int64(limit), revision)
    }
}

extension Etcdserverpb_TxnResponse {
    /// The keys that the operation of this number read.
    func keys(_ index: Int) -> [Etcdserverpb_KeyValue] { index < responses.count ? responses[index].responseRange.kvs : [] }
}

// Reads are linearizable, all of them: one that an endpoint answers by itself could be of yesterday.

extension EtcdClient {
    func transact(
        _ transaction: EtcdTransaction, until deadline: ContinuousClock.Instant, isRepeatable: Bool
    ) async throws(EtcdFailure) -> Etcdserverpb_TxnResponse {
        try await run(until: deadline, isRepeatable: isRepeatable) { connection, metadata, options in
            let response = try await Etcdserverpb_KV.Client(wrapping: connection.client).txn(
                request: .init(message: transaction.request, metadata: metadata), options: options)
            try self.check(response.header, from: connection.endpoint)
            return response
        }
    }

    /// One page; `more` says whether there is another.
    func range(
        _ range: EtcdRange, limit: Int, revision: Int64 = 0, until deadline: ContinuousClock.Instant
    ) async throws(EtcdFailure) -> Etcdserverpb_RangeResponse {
        try await run(until: deadline, isRepeatable: true) { connection, metadata, options in
            let response = try await Etcdserverpb_KV.Client(wrapping: connection.client).range(
                request: .init(message: .init(range, limit: limit, revision: revision), metadata: metadata), options: options)
            try self.check(response.header, from: connection.endpoint)
            return response
        }
    }

    /// Every key of a range, as of one revision: `revision`, or that of the first page.
    func all(
        _ range: EtcdRange, revision: Int64 = 0, bytesMax: Int, until deadline: ContinuousClock.Instant
    ) async throws(EtcdFailure) -> [Etcdserverpb_KeyValue] {
        var (found, rest, revision, limit, bytes) = ([Etcdserverpb_KeyValue](), range, revision, 256, 0)
        while true {
            let page: Etcdserverpb_RangeResponse
            do throws(EtcdFailure) {
                page = try await self.range(rest, limit: limit, revision: revision, until: deadline)
            } catch {
                guard error.cause == .tooLarge, limit > 1 else { throw error }
                limit /= 4
                continue
            }
            if revision == 0 { revision = page.header.revision }
            found += page.kvs
            bytes += page.kvs.reduce(0) { $0 + $1.key.count + $1.value.count }
            guard bytes <= bytesMax else { throw EtcdFailure(.tooLarge, didNotRun: true) }
            guard page.more, let last = page.kvs.last else { return found }
            rest.start = last.key + [0]
        }
    }

    // MARK: leases

    /// Makes a lease with an id of our own, so that a repeated request makes no second one.
    func grantLease(seconds: Int64, until deadline: ContinuousClock.Instant) async throws(EtcdFailure) -> Int64 {
        let id = Int64.random(in: 1...Int64.max)
        do throws(EtcdFailure) {
            try await run(until: deadline, isRepeatable: true) { connection, metadata, options in
                var request = Etcdserverpb_LeaseGrantRequest()
                (request.id, request.ttl) = (id, seconds)
                let response = try await Etcdserverpb_Lease.Client(wrapping: connection.client).leaseGrant(
                    request: .init(message: request, metadata: metadata), options: options)
                guard response.error.isEmpty else { throw EtcdFailure(.refused(response.error), didNotRun: true) }
            }
        } catch {
            guard error.cause == .leaseExists else { throw error }
        }
        return id
    }

    /// Whether the lease is there, with all of its time again.
    func keepAlive(_ lease: Int64, until deadline: ContinuousClock.Instant) async throws(EtcdFailure) -> Bool {
        try await run(until: deadline, isRepeatable: true) { connection, metadata, options in
            let request = StreamingClientRequest<Etcdserverpb_LeaseKeepAliveRequest>(metadata: metadata) { writer in
                var request = Etcdserverpb_LeaseKeepAliveRequest()
                request.id = lease
                try await writer.write(request)
            }
            return try await Etcdserverpb_Lease.Client(wrapping: connection.client).leaseKeepAlive(request: request, options: options) { response in
                for try await message in response.messages { return message.ttl > 0 }
                throw EtcdFailure(.lost("no answer to a renewal"), didNotRun: false)
            }
        }
    }

    /// Ends a lease, and the keys that hang on it. Whether that works out matters to nobody: it ends by itself.
    func revoke(_ lease: Int64, until deadline: ContinuousClock.Instant) async {
        _ = try? await run(until: deadline, isRepeatable: true) { connection, metadata, options in
            var request = Etcdserverpb_LeaseRevokeRequest()
            request.id = lease
            _ = try await Etcdserverpb_Lease.Client(wrapping: connection.client).leaseRevoke(
                request: .init(message: request, metadata: metadata), options: options)
        }
    }

    // MARK: watches

    /// What happens to `key` from `revision` on, until the connection ends or the server ends the watch. Tells how far it has come.
    func watch(
        _ key: Data, from revision: Int64, _ heard: @escaping @Sendable (Etcdserverpb_WatchResponse) -> Void
    ) async throws(EtcdFailure) {
        let connection = try await connection(until: .now + timing.call)
        do {
            var metadata = try await connection.metadata(within: timing.call)
            // An endpoint that has lost its cluster ends the watch, instead of keeping silent.
            metadata.addString("true", forKey: "hasleader")
            let request = StreamingClientRequest<Etcdserverpb_WatchRequest>(metadata: metadata) { writer in
                var create = Etcdserverpb_WatchCreateRequest()
                (create.key, create.startRevision, create.progressNotify) = (key, revision, true)
                var request = Etcdserverpb_WatchRequest()
                request.createRequest = create
                try await writer.write(request)
                // The stream stays open for as long as its answers are read.
                while !Task.isCancelled { try await Task.sleep(for: .seconds(3600)) }
            }
            var options = CallOptions.defaults
            options.waitForReady = false
            options.maxResponseMessageBytes = EtcdConnection.answerMax
            try await Etcdserverpb_Watch.Client(wrapping: connection.client).watch(request: request, options: options) { response in
                for try await message in response.messages {
                    heard(message)
                    if message.canceled { return }
                }
            }
        } catch {
            let failure = EtcdFailure(error)
            if failure.cause == .tokenRefused { await connection.forgetToken(of: (try? await connection.metadata(within: timing.call)) ?? [:]) }
            throw failure
        }
    }
}
