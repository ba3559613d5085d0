import Foundation
import NIOPosix
import PGChannel
import ShardModel
import ShardTransfer
import TransferCore

// TransferBenchmark SOURCE TARGET TABLE KEY SESSIONS PART
//
// Copies the rows of public.TABLE from one database to another, where PART is `all` of the ring or `half` of it, in vnodes of a 256th.
// Prints seconds, rows, moved rows, the bytes read, and the growth of this process's peak memory in KiB.

func fail(_ text: String) -> Never {
    FileHandle.standardError.write(Data("TransferBenchmark: \(text)\n".utf8))
    exit(2)
}

func peakMemory() -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") } ?? ""
    return Int(line.filter(\.isNumber)) ?? 0
}

let arguments = CommandLine.arguments
guard arguments.count == 7, let sessions = Int(arguments[5]), sessions > 0, ["all", "half"].contains(arguments[6]) else {
    fail("usage: TransferBenchmark SOURCE TARGET TABLE KEY SESSIONS all|half")
}
do {
    let (source, target) = (try PostgresEndpoint.parse(arguments[1]), try PostgresEndpoint.parse(arguments[2]))
    let group = MultiThreadedEventLoopGroup.singleton
    let keeper = try await PGClient.connect(to: source, on: group)
    _ = try await keeper.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    guard let snapshot = try await keeper.query("SELECT pg_export_snapshot()").rows.first?.text(0) else { fail("no snapshot") }
    let shapes = try await TableShape.read(QualifiedName(schema: "public", name: arguments[3]), key: arguments[4], from: keeper)
    let vnodes = RingCut.even(over: 1, vnodesEach: 256, after: 0)[0]
    let stays = arguments[6] == "half" ? vnodes.filter { $0.id % 2 == 0 } : []
    let moves = arguments[6] == "half" ? vnodes.filter { $0.id % 2 == 1 } : vnodes
    let destinations = RowDestinations(of: ShardIndex(0), to: [ShardIndex(1)], before: try HashRing([vnodes, []]), after: try HashRing([stays, moves]))
    var settings = SnapshotCopy.Settings()
    settings.sessions = sessions
    let (memory, begun) = (peakMemory(), ContinuousClock.now)
    let copy = SnapshotCopy(shapes, from: source, to: [target], destinations, settings: settings, on: group)
    let progress = try await copy.run(snapshot: snapshot)
    let seconds = (ContinuousClock.now - begun) / .seconds(1)
    print(String(format: "%.3f", seconds), progress.counts.rows, progress.counts.moved, progress.bytesRead, peakMemory() - memory)
    await keeper.close()
} catch {
    fail("\(error)")
}
