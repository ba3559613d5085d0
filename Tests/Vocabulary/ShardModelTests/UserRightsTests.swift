import Foundation
import ShardModel
import Testing

@Suite struct UserRightsTests {
    private func user(_ roles: [String] = [], _ grants: [DatabaseGrant]) -> UserRecord {
        var record = UserRecord(name: "u", verifier: "v", roles: [])
        record.set(roles: roles, grants: grants)
        return record
    }

    @Test func aUserMayDoWhatItsGrantsSayAndNoMore() {
        let both = user([], [DatabaseGrant(database: "a", rights: [.read]), DatabaseGrant(database: "b", rights: [.write])])
        #expect(both.access(to: "a") == .read && both.access(to: "b") == .write && both.access(to: "c") == nil && both.access(to: "*") == nil)
        #expect(user([], []).access(to: "a") == nil)
        // Of several that cover a database the widest counts.
        let wide = user([], [DatabaseGrant(database: "*", rights: [.read]), DatabaseGrant(database: "a", rights: [.read, .write])])
        #expect(wide.access(to: "a") == .write && wide.access(to: "z") == .read)
    }

    @Test func ofTheRolesOnlyTheAdministratorsOpensDatabases() {
        #expect(user(["admin"], []).access(to: "a") == .write)
        #expect(user(["operator", "viewer"], []).access(to: "a") == nil)
    }

    @Test(arguments: [
        (#"{"name":"u","verifier":"v","roles":["viewer"],"version":3}"#, DatabaseAccess.write, DatabaseAccess.write),
        (#"{"name":"u","verifier":"v","roles":["admin"],"databases":["a"],"version":3}"#, .write, nil),
        (#"{"name":"u","verifier":"v","roles":[],"databases":[],"version":3}"#, nil, nil),
    ])
    func aRecordFromBeforeThereWereGrantsAllowsWhatItDid(_ json: String, a: DatabaseAccess?, b: DatabaseAccess?) throws {
        let record = try JSONDecoder().decode(UserRecord.self, from: Data(json.utf8))
        #expect(record.access(to: "a") == a && record.access(to: "b") == b && record.grants == nil)
    }

    @Test func routersThatDoNotKnowGrantsLetNobodyInTooFar() {
        #expect(user([], [DatabaseGrant(database: "a", rights: [.read])]).databases == ["a"])
        #expect(user(["viewer"], []).databases == [])
        #expect(user([], [DatabaseGrant(database: "*", rights: [.write])]).databases == nil)
        #expect(user(["admin"], []).databases == nil)
        var fallen = user(["admin"], [])
        fallen.set(roles: ["viewer"], grants: fallen.grants ?? [])
        #expect(fallen.databases == [])
    }

    @Test func aRecordComesBackAsItWasStored() throws {
        let record = user(["viewer"], [DatabaseGrant(database: "a", rights: [.write, .read])])
        let stored = try JSONEncoder().encode(record)
        #expect(try JSONDecoder().decode(UserRecord.self, from: stored) == record)
        #expect(record.grants?.first?.rights == [.read, .write])
    }
}
