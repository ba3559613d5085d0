import LocalCluster

/// Why the demo could not start, in one line for a person.
struct DemoError: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }

    static func otherRun(pid: Int32, folder: String) -> DemoError {
        DemoError("a demo already runs in \(folder) (pid \(pid)); stop it with: pgmosaic demo stop --dir \(folder)")
    }

    private static func replicas(_ plan: DemoPlan) -> String {
        let count = plan.cluster.shards.first?.replicas.count ?? 0
        return count == 0 ? "" : " of \(count) \(count == 1 ? "replica" : "replicas") each"
    }

    /// The shards' number is fixed when the data is loaded: adding one moves rows, which is not the demo's job.
    static func otherShape(folder: String, saved: DemoPlan) -> DemoError {
        DemoError(
            "\(folder) holds a demo with \(saved.cluster.shards.count) shards\(replicas(saved)) and the data set \(saved.dataset.rawValue); "
                + "leave out --shards, --spares, --replicas and --dataset to resume it, or choose another --dir")
    }
}
