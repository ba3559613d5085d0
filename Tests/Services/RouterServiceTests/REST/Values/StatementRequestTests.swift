import ControlAPI
import NIOCore
import Testing

@testable import RouterService

@Suite struct StatementRequestTests {
    static func request(
        _ query: String, _ params: [JSONValue] = [], rowsMax: Int64? = nil, timeout: Int64? = nil, limits: StatementLimits = .init(rowsMax: 100, bytesMax: 4096),
        timeoutDefault: Duration = .zero, format: ExecuteRequest.Options.RowFormat = .arrays, isStreamed: Bool = false
    ) throws -> StatementRequest {
        let options = ExecuteRequest.Options(timeoutMilliseconds: timeout, rowFormat: format, rowsMax: rowsMax)
        return try StatementRequest(
            ExecuteRequest(query: query, params: params, options: options), database: "shop", limits: isStreamed ? limits.ofStream() : limits,
            timeoutDefault: timeoutDefault, start: .now, isStreamed: isStreamed)
    }

    @Test func aZeroByteCannotCutAStatementShort() {
        #expect(throws: APIError(.invalidRequest, "field \"query\" holds a zero byte")) { try Self.request("DELETE FROM t\0WHERE id = 1") }
    }

    @Test func aClientCanNarrowTheRowLimitAndNotWidenIt() throws {
        #expect(try Self.request("SELECT 1", rowsMax: 5).limits.rowsMax == 5)
        #expect(try Self.request("SELECT 1", rowsMax: 5000).limits.rowsMax == 100)
        #expect(try Self.request("SELECT 1").limits.rowsMax == 100)
    }

    @Test func aStreamHasNoRowLimitButTheClients() throws {
        #expect(try Self.request("SELECT 1", isStreamed: true).limits.rowsMax == .max)
        #expect(try Self.request("SELECT 1", rowsMax: 5000, isStreamed: true).limits.rowsMax == 5000)
        #expect(try Self.request("SELECT 1", isStreamed: true).limits.bytesMax == 4096)
    }

    @Test func timeoutsAreTheClientsElseTheServersAndBounded() throws {
        #expect(try Self.request("SELECT 1").timeout == nil)
        #expect(try Self.request("SELECT 1", timeoutDefault: .seconds(3)).timeout == .seconds(3))
        #expect(try Self.request("SELECT 1", timeout: 250, timeoutDefault: .seconds(3)).timeout == .milliseconds(250))
        #expect(try Self.request("SELECT 1", timeout: .max).timeout == .hours(24))
    }
}
