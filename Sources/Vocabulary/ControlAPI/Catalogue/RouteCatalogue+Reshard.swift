/// Jobs that move vnodes.
extension RouteCatalogue {
    static let reshard: [APIRoute] = [
        APIRoute(
            .post, "/api/v1/reshard/split", tag: "reshard",
            "Begin to split a shard: to one target goes half of it, or what lies from `split_point` on; several share all of it", request: .reference("SplitShard"),
            status: 202, answer: .json(.reference("Job"))),
        APIRoute(
            .post, "/api/v1/reshard/merge", tag: "reshard", "Begin to move all that some shards own to one", request: .reference("MergeShards"), status: 202,
            answer: .json(.reference("Job"))),
        APIRoute(
            .post, "/api/v1/reshard/move", tag: "reshard", "Begin to move some vnodes to another shard", request: .reference("MoveVNodes"), status: 202,
            answer: .json(.reference("Job"))),
        APIRoute(
            .post, "/api/v1/reshard/add-shard", tag: "reshard",
            "Begin to fill a shard: it gets what it lacks of a fair share, from the active shards that have the most", request: .reference("EvenShard"), status: 202,
            answer: .json(.reference("Job"))),
        APIRoute(
            .post, "/api/v1/reshard/drain-shard", tag: "reshard",
            "Begin to empty a shard: all it has goes to the active shards that own something, most to those that have the least", request: .reference("EvenShard"),
            status: 202, answer: .json(.reference("Job"))),
        APIRoute(
            .get, "/api/v1/reshard/plan", tag: "reshard", "What such a job would move, and about how much of it there is; nothing is changed",
            query: [
                .init("type", .choice(["split", "merge", "move", "add-shard", "drain-shard"]), "What is asked for", isRequired: true),
                .init("source", shards, "The source's id; of a merge, ids with commas between them; not of add-shard"),
                .init("target", shards, "The target's id; of a split, ids with commas between them; not of drain-shard"),
                .init("split_point", .token, "As `split_point` of a split"),
                .init("vnodes", .text(1...4000, pattern: "^[0-9]{1,9}(,[0-9]{1,9})*$"), "Of a move: ids of vnodes with commas between them"),
            ],
            answer: .json(.reference("ReshardPlan"))),
        APIRoute(
            .get, "/api/v1/reshard/jobs", tag: "reshard", "The jobs, the oldest first; those that are over are kept for a while",
            query: paging + [.init("database", .string, "Only those of one database")], answer: page(of: "Job")),
        APIRoute(.get, "/api/v1/reshard/jobs/{id}", tag: "reshard", "One job", answer: .json(.reference("Job"))),
        asked("cancel", "Cancel a job before its switch: what it made goes, and the sources keep the vnodes"),
        asked("resume", "Let a job that waits between two tries of a step begin the next one at once"),
        asked("reverse", "Undo a job's switch, while it keeps a way back: the sources get the vnodes, and what was written since"),
        asked("finish", "End a job behind its switch for good: the moved rows leave the sources"),
    ]

    private static func asked(_ what: String, _ summary: String) -> APIRoute {
        APIRoute(.post, "/api/v1/reshard/jobs/{id}/\(what)", tag: "reshard", summary, answer: .json(.reference("Job")))
    }

    private static let shards = APISchema.text(1...100_000, pattern: "^[A-Za-z0-9._-]+(,[A-Za-z0-9._-]+)*$")
}
