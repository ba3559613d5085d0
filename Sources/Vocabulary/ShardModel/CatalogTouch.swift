/// The names of the records that a change touches: what has to be checked, and stored, anew.
package struct CatalogTouch: Hashable, Sendable {
    package var databases: Set<String> = []
    package var shards: Set<ShardID> = []
    package var tables: Set<CatalogSnapshot.TableKey> = []
    package var users: Set<String> = []
    package var settings: Set<String> = []
    package var jobs: Set<String> = []
    package var holds: Set<String> = []

    package init() {}

    /// Every record of a catalog.
    package init(allOf snapshot: CatalogSnapshot) {
        databases = Set(snapshot.databases.keys)
        shards = Set(snapshot.shards.keys)
        tables = Set(snapshot.tables.keys)
        users = Set(snapshot.users.keys)
        settings = Set(snapshot.settings.keys)
        jobs = Set(snapshot.jobs.keys)
        holds = Set(snapshot.holds.keys)
    }

    package func union(_ other: CatalogTouch) -> CatalogTouch {
        var all = self
        all.databases.formUnion(other.databases)
        all.shards.formUnion(other.shards)
        all.tables.formUnion(other.tables)
        all.users.formUnion(other.users)
        all.settings.formUnion(other.settings)
        all.jobs.formUnion(other.jobs)
        all.holds.formUnion(other.holds)
        return all
    }
}

extension CatalogChange {
    package var touch: CatalogTouch {
        var touch = CatalogTouch()
        for operation in operations {
            switch operation {
            case .putDatabase(let record): touch.databases.insert(record.name)
            case .deleteDatabase(let name, _): touch.databases.insert(name)
            case .putShard(let record): touch.shards.insert(record.id)
            case .deleteShard(let id, _): touch.shards.insert(id)
            case .putTable(let record): touch.tables.insert(.init(database: record.database, table: record.name))
            case .deleteTable(let database, let name, _): touch.tables.insert(.init(database: database, table: name))
            case .putUser(let record): touch.users.insert(record.name)
            case .deleteUser(let name, _): touch.users.insert(name)
            case .setSetting(let name, _): touch.settings.insert(name)
            case .putJob(let record): touch.jobs.insert(record.id)
            case .deleteJob(let id, _): touch.jobs.insert(id)
            case .putHold(let record): touch.holds.insert(record.job)
            case .deleteHold(let job, _): touch.holds.insert(job)
            }
        }
        return touch
    }
}
