package import NIOCore
internal import PGWire
internal import Synchronization

extension PGClient {
    /// One statement with parameters, by the extended protocol.
    @discardableResult
    package func query(_ sql: String, _ parameters: [PGParameter] = [], options: QueryOptions = QueryOptions()) async throws -> PGResult {
        try Self.requireText(sql)
        guard parameters.count <= Self.parametersMax else {
            throw PGClientError(.invalidCall("a statement takes at most \(Self.parametersMax) parameters"), execution: .didNotRun)
        }
        var request = ByteBuffer()
        let name = options.preparedName ?? ""
        let isPrepared = !name.isEmpty && preparedTexts.withLock { $0[name]?.utf8.elementsEqual(sql.utf8) ?? false }
        if !isPrepared {
            if !name.isEmpty {
                // A call that failed may have left it: to close one that is not there is no error.
                preparedTexts.withLock { $0[name] = nil }
                request.writeClose(.statement, name: name)
            }
            request.writeParse(name: name, query: sql, parameterTypes: parameters.map(\.typeOID))
        }
        request.writeBind(portal: "", statement: name, parameters: parameters.map { ($0.value, $0.format) }, resultFormat: options.resultFormat)
        request.writeDescribe(.portal, name: "")
        // One more than wanted: the server reports a portal as suspended also when its last row was the last one asked for.
        let rowsMax = options.rowsMax.map { min(max(0, $0), Int(Int32.max) - 1) }
        request.writeExecute(rowsMax: rowsMax.map { Int32($0 + 1) } ?? 0)
        request.writeSync()
        let results = try await perform(
            { _ in .query(rowsMax: rowsMax) }, request, id: makeCallID(), bytesMax: options.bytesMax, timeout: options.timeout)
        if !isPrepared, !name.isEmpty { preparedTexts.withLock { $0[name] = sql } }
        return results.first ?? PGResult()
    }

    /// One or more statements without parameters, by the simple protocol; the results in order.
    ///
    /// Without transaction statements of its own the script is one transaction.
    @discardableResult
    package func execute(_ script: String, timeout: TimeAmount? = nil) async throws -> [PGResult] {
        try Self.requireText(script)
        var request = ByteBuffer()
        request.writeQuery(script)
        return try await perform({ _ in .script }, request, id: makeCallID(), timeout: timeout)
    }
}
