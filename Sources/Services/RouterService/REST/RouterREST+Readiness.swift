internal import ControlAPI
internal import RESTServer
internal import ShardModel

extension RouterREST {
    /// GET /ready: 503 while no statement can be served: without a catalog, during a shutdown, or while every shard is away.
    ///
    /// One shard that is away does not make the router unready: it would take the others' data away with it. `shards` names it.
    func ready() async -> RESTAnswer {
        let state = await readiness.state()
        let isDraining = await shared.allLoops.first?.ask { $0.isDraining } ?? true
        let canServe = state.shards.isEmpty || state.shards.contains(where: \.reachable)
        let isReady = state.epoch != nil && canServe && !isDraining
        let answer = ReadyAnswer(
            ready: isReady, epoch: state.epoch?.number ?? 0, catalogConnected: state.isCatalogConnected, shards: state.shards)
        return .json(answer, status: isReady ? 200 : 503)
    }
}
