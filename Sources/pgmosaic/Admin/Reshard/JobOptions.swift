import ArgumentParser
import ControlAPI

/// What every job may be told when it begins.
struct JobOptions: ParsableArguments {
    @Flag(
        inversion: .prefixedNo,
        help: "End transactions that are still open on the moved vnodes at the manager's reshard.drain_limit with 40001, instead of trying again later. (the manager's reshard.end_transactions)")
    var endTransactions: Bool?

    /// Members of the request.
    var members: [JSONValue.Member] { endTransactions.map { [.init("end_transactions", .bool($0))] } ?? [] }
}
