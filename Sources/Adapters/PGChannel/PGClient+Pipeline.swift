package import NIOCore
internal import PGWire

extension PGClient {
    /// A statement of a pipeline that is prepared on this connection under a name, in this pipeline or an earlier one.
    package struct PipelineStep: Sendable {
        package var name: String
        /// nil: it is prepared already.
        package var sql: String?
        package var parameters: [PGParameter]

        package init(name: String, sql: String?, parameters: [PGParameter] = []) {
            self.name = name
            self.sql = sql
            self.parameters = parameters
        }
    }

    /// Runs the steps in order, without waiting for one before the next is sent. The results in order, without their columns.
    ///
    /// Outside of a transaction block they are one transaction. When one fails the rest does not run, and what was to be prepared behind it is not.
    package func pipeline(_ steps: [PipelineStep], timeout: TimeAmount? = nil) async throws -> [PGResult] {
        var request = ByteBuffer()
        for step in steps {
            guard step.parameters.count <= Self.parametersMax else {
                throw PGClientError(.invalidCall("a statement takes at most \(Self.parametersMax) parameters"), execution: .didNotRun)
            }
            if let sql = step.sql {
                try Self.requireText(sql)
                request.writeParse(name: step.name, query: sql, parameterTypes: step.parameters.map(\.typeOID))
            }
            request.writeBind(portal: "", statement: step.name, parameters: step.parameters.map { ($0.value, $0.format) }, resultFormat: .text)
            request.writeExecute(rowsMax: 0)
        }
        request.writeSync()
        return try await perform({ _ in .query(rowsMax: nil) }, request, id: makeCallID(), timeout: timeout)
    }
}
