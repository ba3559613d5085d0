internal import CatalogStore
internal import GRPCCore

/// Why a request to etcd failed, and whether it may have taken effect all the same.
struct EtcdFailure: Error, CustomStringConvertible {
    enum Cause: Hashable {
        /// The endpoint cannot be reached, or the connection was lost.
        case lost(String)
        case timedOut
        /// The endpoint answers, and is of no use now: its cluster has no leader, or it is being stopped.
        case unready(String)
        /// The token of the login is not, or no longer, good.
        case tokenRefused
        /// The revision that was asked for is gone.
        case compacted
        case leaseGone
        case leaseExists
        case tooLarge
        /// A no that will stay one.
        case refused(String)
        /// Our own settings: a file or variable that cannot be read.
        case local(String)
        /// An endpoint of another etcd cluster.
        case foreign(String)
    }

    var cause: Cause
    /// Whether it certainly had no effect.
    var didNotRun: Bool

    init(_ cause: Cause, didNotRun: Bool) { (self.cause, self.didNotRun) = (cause, didNotRun) }

    init(_ error: any Error) {
        switch error {
        case let failure as EtcdFailure: self = failure
        case let error as RPCError: self.init(error)
        case let error as EtcdLocationError: self.init(.local(error.description), didNotRun: true)
        case is CancellationError: self.init(.lost("the request was given up"), didNotRun: false)
        default: self.init(.lost("the connection was closed"), didNotRun: false)
        }
    }

    private init(_ error: RPCError) {
        let isServers = error.message.hasPrefix("etcdserver") || error.message.hasPrefix("auth:") || error.message.hasPrefix("lease")
        switch error.code {
        case .deadlineExceeded, .cancelled: self.init(.timedOut, didNotRun: false)
        case .unavailable where isServers: self.init(.unready(error.message), didNotRun: false)
        case .unavailable: self.init(.lost(Self.reason(error)), didNotRun: false)
        case .unauthenticated: self.init(.tokenRefused, didNotRun: true)
        // A token from before a change of users or roles; and one that the endpoint has not heard of, which is then taken for none.
        case .invalidArgument where error.message.contains("revision of auth store is old") || error.message.contains("user name is empty"):
            self.init(.tokenRefused, didNotRun: true)
        case .outOfRange where error.message.contains("compacted"): self.init(.compacted, didNotRun: true)
        case .notFound where error.message.contains("lease"): self.init(.leaseGone, didNotRun: true)
        case .failedPrecondition where error.message.contains("lease already exists"): self.init(.leaseExists, didNotRun: true)
        case .resourceExhausted where error.message.contains("too many requests"): self.init(.unready(error.message), didNotRun: true)
        case .resourceExhausted where !isServers: self.init(.tooLarge, didNotRun: false)
        // Said by our own side of the connection, inside of an error about the decoding.
        case _ where Self.reason(error).contains("maximum payload size"): self.init(.tooLarge, didNotRun: false)
        case .invalidArgument where error.message.contains("too large"): self.init(.tooLarge, didNotRun: true)
        case .permissionDenied, .invalidArgument, .failedPrecondition, .resourceExhausted, .notFound, .alreadyExists, .outOfRange, .unimplemented:
            self.init(.refused(error.message), didNotRun: true)
        default: self.init(.lost(Self.reason(error)), didNotRun: false)
        }
    }

    /// The innermost cause says what happened: `connection refused`, a certificate that does not hold.
    private static func reason(_ error: RPCError) -> String {
        var reason = error.message
        var cause = error.cause
        for _ in 0..<8 {
            guard let inner = cause else { break }
            reason = (inner as? RPCError)?.message ?? "\(inner)"
            cause = (inner as? RPCError)?.cause
        }
        return reason
    }

    /// Whoever asks next had better ask another endpoint, or on another connection.
    var leavesEndpoint: Bool {
        switch cause {
        case .lost, .timedOut, .unready: true
        default: false
        }
    }

    /// The same again, perhaps elsewhere, may go better.
    var isWorthRepeating: Bool { leavesEndpoint || cause == .tokenRefused }

    var description: String {
        switch cause {
        case .lost(let reason), .unready(let reason), .refused(let reason), .local(let reason), .foreign(let reason): reason
        case .timedOut: "etcd does not answer"
        case .tokenRefused: "etcd does not accept the login"
        case .compacted: "the revision was compacted"
        case .leaseGone: "the lease is gone"
        case .leaseExists: "the lease exists"
        case .tooLarge: "the request, or its answer, is too large for etcd"
        }
    }

    /// `place` names the cluster, without a password. A request that may have taken effect is `.unknownOutcome` when `isWrite`.
    static func catalogError(_ error: any Error, _ place: String, isWrite: Bool) -> CatalogError {
        if let error = error as? CatalogError { return error }
        let failure = EtcdFailure(error)
        if isWrite, !failure.didNotRun { return .unknownOutcome("\(place): \(failure)") }
        switch failure.cause {
        case .foreign: return .foreign("\(place): \(failure)")
        case .tooLarge: return .invalid("\(place): \(failure)")
        default: return .unavailable("\(place): \(failure)")
        }
    }
}
