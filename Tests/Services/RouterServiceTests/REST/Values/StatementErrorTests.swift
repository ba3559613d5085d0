import ControlAPI
import PGWire
import RoutePlanning
import Testing

@testable import RouterService

@Suite struct StatementErrorTests {
    @Test(arguments: [
        ("23505", .sqlFailed), ("42601", .sqlFailed), ("22P02", .sqlFailed), ("08P01", .sqlFailed), ("57014", .sqlFailed),
        ("08001", .shardUnavailable), ("08006", .shardUnavailable), ("57P03", .shardUnavailable), ("08007", .outcomeUnknown),
        ("40003", .outcomeUnknown), ("53300", .tooManyRequests), ("40001", .sqlFailed),
    ] as [(String, APIErrorCode)])
    func everySQLSTATEHasItsCode(_ state: String, _ code: APIErrorCode) throws {
        let error = APIError(ServerError(sqlState: try #require(SQLState(code: state)), message: "m"))
        #expect(error.code == code)
        #expect(error.sqlstate == state)
        #expect(([429, 503].contains(code.status)) == (error.retryAfter != nil))
    }

    @Test func anUnknownOutcomeIsNeverOfferedForRetry() {
        let error = APIError(ServerError(sqlState: .transactionResolutionUnknown, message: "m"))
        #expect(error.code.status == 422)
        #expect(error.retryAfter == nil)
    }

    @Test func aRefusalCarriesItsCodeAndHint() {
        let error = APIError(
            ServerError(sqlState: .featureNotSupported, message: "no key", detail: "PGM-NO-KEY: more", hint: "name the key", position: 8))
        #expect(error.code == .sqlRefused)
        #expect(error.details?["code"] == "PGM-NO-KEY")
        #expect(error.details?["refusal"] == "PGM-NO-KEY")
        #expect(error.details?["hint"] == "name the key")
        #expect(error.details?["position"] == 8)
    }

    @Test func namesOfTheSchemaArePassedOnAndRowValuesAreNot() {
        var server = ServerError(sqlState: .uniqueViolation, message: "duplicate key", detail: "Key (email)=(a@b.c) already exists.")
        server[.table] = "users"
        server[.constraint] = "users_email_key"
        let error = APIError(server)
        #expect(error.details == ["table": "users", "constraint": "users_email_key"])
        #expect(!error.body(requestID: "1").text.contains("a@b.c"))
    }

    @Test func theRefusalsOfRESTAreCodesOfTheirOwn() {
        let others = Set(RefusalCode.allCases.map(\.rawValue))
        for refusal in RESTRefusal.allCases {
            #expect(!others.contains(refusal.rawValue))
            #expect(APIError(refusal).details?["refusal"] == .string(refusal.rawValue))
            #expect(APIError(refusal).sqlstate == "0A000")
        }
    }

    private func refusal(_ kind: StatementKind, _ route: Route) -> RESTRefusal? {
        RESTRefusal(StatementPlan(kind: kind, route: route, writes: false, reuse: .text, reason: ""))
    }

    @Test func whatNeedsASessionIsRefused() {
        #expect(refusal(.transaction, .transaction(.commit(chain: false))) == .transaction)
        #expect(refusal(.session, .session(.set(name: "work_mem"))) == .session)
        #expect(refusal(.session, .session(.setMosaic(name: "pgmosaic.explain", value: "on"))) == .session)
        #expect(refusal(.session, .session(.discardAll)) == .session)
        #expect(refusal(.copy, .homeShard) == .copy)
    }

    @Test func whatStandsAloneIsNotRefused() {
        #expect(refusal(.select, .homeShard) == nil)
        #expect(refusal(.session, .session(.show(name: "work_mem"))) == nil)
        #expect(refusal(.ddl, .everyShard(EveryShard(reason: .ddl))) == nil)
    }
}
