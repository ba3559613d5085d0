import CatalogRecovery
import ControlAPI
import Secrets
import ShardModel

/// What a recovery found and would write, for the person who decides. No secret of the catalog is in it.
enum RecoveryReport {
    static func show(_ choice: RecoveryChoice, _ snapshot: CatalogSnapshot, _ sources: [RecoverySource]) {
        var found = TextTable(["FOUND AT", "SHARD", "FENCE", "COPY OF EPOCH"], right: [2, 3])
        for source in sources {
            let epoch =
                switch source.copy {
                case .none: "-"
                case .unreadable(let epoch, _): "\(epoch), unreadable"
                case .readable(let snapshot, _): "\(snapshot.epoch)"
                }
            found.add([source.place, source.mark?.shard.name ?? "-", source.mark.map { "\($0.fence)" } ?? "-", epoch])
        }
        Console.line(found.text)
        for note in choice.notes { Console.line("note: \(TextTable.printable(note))") }
        Console.line("\nThe newest copy is that of \(TextTable.printable(choice.place)): \(CatalogWork.summary(snapshot))")
        for database in snapshot.databases.values.sorted(by: { $0.name < $1.name }) { show(database, snapshot) }
        let sealed = snapshot.shards.values.flatMap { [$0.primaryEndpoint] + $0.replicas }.filter(EndpointSecrets.isSealed).count
        Console.line("\nIn it: \(choice.isWhole ? "\(snapshot.users.count) users with their SCRAM verifiers" : "no users"), \(sealed) sealed passwords.")
        Console.line("Not in it: the history, answers kept for repeated requests\(choice.isWhole ? "" : ", users and their rights").")
    }

    private static func show(_ database: DatabaseRecord, _ snapshot: CatalogSnapshot) {
        var shards = TextTable(["  SHARD", "VNODES", "SLICE", "PRIMARY"], right: [1, 2])
        for shard in snapshot.shards.values.filter({ $0.database == database.name }).sorted(by: { $0.id < $1.id }) {
            let home = shard.id == database.homeShard ? " (home)" : ""
            shards.add([
                "  \(shard.id)\(home)", "\(shard.vnodes.count)", shard.slice.map(String.init) ?? "-", EndpointSecrets.redacted(shard.primaryEndpoint),
            ])
        }
        var tables = TextTable(["  TABLE", "PLACEMENT"])
        for table in snapshot.tables.values.filter({ $0.database == database.name }).sorted(by: { $0.name < $1.name }) {
            let placement =
                switch table.placement {
                case .sharded(let key): "sharded by \(key)"
                case .reference: "reference"
                case .local: "local"
                }
            tables.add(["  \(table.name)", placement])
        }
        var text = "\ndatabase \(TextTable.printable(database.name))"
        for table in [shards, tables] where !table.rows.isEmpty { text += "\n" + table.text }
        Console.line(text)
    }
}
