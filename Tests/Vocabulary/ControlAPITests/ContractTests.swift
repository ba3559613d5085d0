import ControlAPI
import ShardModel
import Testing

@Suite struct ContractTests {
    private func error<Request: APIRequest>(_ type: Request.Type, _ body: String) -> APIError? {
        do {
            _ = try APICoding.decode(type, from: Array(body.utf8))
            return nil
        } catch { return error }
    }

    @Test func aFieldThatTheRequestDoesNotHaveIsRefusedByName() throws {
        let found = try #require(error(CreateDatabaseRequest.self, #"{"name":"app","vnodes":5}"#))
        #expect(found.code == .unknownField)
        #expect(found.details?["field"]?.stringValue == "vnodes")
        #expect(found.message.contains("vnode_count"))
    }

    @Test(arguments: ["[]", "1", "null", "\"x\"", "true", "", "{", "{\"name\":\"a\",\"name\":\"b\"}"])
    func aBodyThatIsNotOneObjectIsInvalidJSON(_ body: String) {
        #expect(error(CreateDatabaseRequest.self, body)?.code == .invalidJSON)
    }

    @Test(arguments: [
        (#"{}"#, "name"), (#"{"name":null}"#, "name"), (#"{"name":5}"#, "name"), (#"{"name":"a","vnode_count":"5"}"#, "vnode_count"),
        (#"{"name":"a","vnode_count":1.5}"#, "vnode_count"), (#"{"name":"a","vnode_count":1e99}"#, "vnode_count"),
        (#"{"name":"a","default_consistency":"hunter2"}"#, "default_consistency"), (#"{"name":"a","key_column_rules":[1]}"#, "key_column_rules"),
    ])
    func anErrorNamesTheFieldAndNeverItsValue(_ body: String, _ field: String) throws {
        let found = try #require(error(CreateDatabaseRequest.self, body))
        #expect(found.code == .invalidRequest)
        #expect(found.message.contains(field))
        #expect(!found.message.contains("hunter2"))
    }

    @Test func aVersionOf64BitsStaysExact() throws {
        let body = #"{"status":"readonly","version":18446744073709551615}"#
        #expect(try APICoding.decode(ShardStatusRequest.self, from: Array(body.utf8)).version == .max)
    }

    @Test func databasesNullMeansAllAndMissingMeansUnchanged() throws {
        let all = try APICoding.decode(UpdateUserRequest.self, from: Array(#"{"version":1,"databases":null}"#.utf8))
        #expect(all.databases == .some(nil))
        let unchanged = try APICoding.decode(UpdateUserRequest.self, from: Array(#"{"version":1}"#.utf8))
        #expect(unchanged.databases == nil)
    }

    @Test func anAnswerIsReadBackAsItWasWritten() throws {
        let record = ShardRecord(
            id: ShardID("s1"), name: "s1", database: "app", primaryEndpoint: "postgres://u@h/d", replicas: ["postgres://u@r/d"],
            vnodes: [VNode(id: 7, range: .whole)], createdAt: 1_700_000_000.125, updatedAt: 1_700_000_001)
        let resource = ShardResource(record, isHome: true) { $0 }
        let read = try APICoding.decodeAnswer(ShardResource.self, from: APICoding.encode(resource))
        #expect(read == resource)
        #expect(read.hashRangeEnd == "18446744073709551615")
        #expect(read.vnodes[0].end == "18446744073709551615" && read.vnodes[0].start == "0")
    }

    @Test func aShardsRangeIsTheHullOfItsVNodes() {
        let record = ShardRecord(
            id: ShardID("s"), name: "s", database: "d", primaryEndpoint: "",
            vnodes: [VNode(id: 1, range: TokenRange(10...19)), VNode(id: 2, range: TokenRange(90...99))])
        let resource = ShardResource(record, isHome: false) { $0 }
        #expect(resource.hashRangeStart == "10" && resource.hashRangeEnd == "99")
    }
}

@Suite struct TimestampTests {
    @Test(arguments: [
        (0 as Int64, "1970-01-01T00:00:00.000Z"), (951_827_696_789, "2000-02-29T12:34:56.789Z"), (-1, "1969-12-31T23:59:59.999Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"), (1_764_066_560_123, "2025-11-25T10:29:20.123Z"),
    ])
    func aMomentIsWrittenInUTCAndReadBack(_ milliseconds: Int64, _ text: String) throws {
        let moment = Timestamp(milliseconds: milliseconds)
        #expect(moment.description == text)
        #expect(try APICoding.decodeAnswer([Timestamp].self, from: Array("[\"\(text)\"]".utf8)) == [moment])
    }
}

@Suite struct PageTests {
    private let names = (0..<250).map { "item-\(1000 + $0)" }

    @Test func thePagesTogetherAreTheList() throws {
        var seen: [String] = []
        var cursor: String?
        repeat {
            let page = try PageRequest(limit: "100", cursor: cursor).page(of: names) { $0 }
            seen += page.items
            cursor = page.nextCursor
        } while cursor != nil
        #expect(seen == names)
    }

    @Test func aListGoesOnAfterAnItemThatIsGone() throws {
        let first = try PageRequest(limit: "3", cursor: nil).page(of: names) { $0 }
        let rest = names.filter { $0 != first.items.last }
        #expect(try PageRequest(limit: "1", cursor: first.nextCursor).page(of: rest) { $0 }.items == ["item-1003"])
    }

    @Test func theLastPageHasNoCursorEvenWhenItIsFull() throws {
        #expect(try PageRequest(limit: "250", cursor: nil).page(of: names) { $0 }.nextCursor == nil)
    }

    @Test func namesOfAnyCharactersMakeCursors() throws {
        let odd = ["a b", "日本", "😀&=?", "é"].sorted()
        let page = try PageRequest(limit: "2", cursor: nil).page(of: odd) { $0 }
        #expect(try PageRequest(limit: "2", cursor: page.nextCursor).page(of: odd) { $0 }.items == Array(odd[2...]))
    }

    @Test(arguments: ["0", "-1", "1001", "x", "", "1.5", "99999999999999999999"])
    func aLimitOutsideItsBoundsIsRefused(_ limit: String) {
        #expect(throws: APIError.self) { try PageRequest(limit: limit, cursor: nil) }
    }

    @Test(arguments: ["a", "zz", "ff", "0g", "c0"])
    func aCursorThatIsNotOursIsRefused(_ cursor: String) {
        #expect(throws: APIError.self) { try PageRequest(limit: nil, cursor: cursor) }
    }
}
