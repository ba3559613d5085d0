internal import NIOCore
internal import PGTypes
internal import RoutePlanning
internal import ShardModel

/// Which shard owns a row, at one moment: rows that are on their way to their new shard, or left behind on the old one, are told by their keys.
struct RowOwners {
    private let topology: Topology
    /// `DatabaseState.moves` at the moment.
    let moves: UInt64

    init(_ database: DatabaseState) { (topology, moves) = (database.topology, database.moves) }

    /// Whether the row of a sharded table, as the shard gives it, counts. Of other tables all do, and rows without a key, which no job moves.
    ///
    /// - row: the table's columns, each with its length.
    ///
    /// nil: the key cannot be read.
    func owns(_ row: ByteBuffer, _ table: FetchedTable, _ shard: ShardID) -> Bool? {
        guard let key = table.key, let place = table.columns.firstIndex(of: key.column) else { return true }
        var rest = row
        for _ in 0..<place {
            guard let length = rest.readInteger(as: Int32.self) else { return nil }
            rest.moveReaderIndex(forwardBy: min(max(0, Int(length)), rest.readableBytes))
        }
        guard let length = rest.readInteger(as: Int32.self) else { return nil }
        if length < 0 { return true }
        guard let value = rest.readSlice(length: Int(length)), let token = try? key.type.token(parameter: value.readableBytesSpan, isBinary: !table.isText, oid: 0) else { return nil }
        return topology.shards[topology.ring.owner(of: token).value].id == shard
    }
}
