/// Why a cluster on this machine did not come up; one line for a person.
package enum ClusterError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A process of ours ended before it answered; `message` is the last line of its log.
    case ended(process: String, status: Int32, message: String, log: String)
    /// A process runs and does not become ready.
    case notReady(process: String, after: Duration, answer: String, log: String)
    /// The manager refused a call.
    case refused(call: String, status: Int, answer: String)
    /// A server of the cluster does not answer HTTP.
    case unreachable(call: String, reason: String)

    package var description: String {
        switch self {
        case .ended(let process, let status, let message, let log):
            "the \(process) ended with status \(status): \(message) (see \(log))"
        case .notReady(let process, let after, let answer, let log):
            "the \(process) was not ready after \(after.components.seconds) s: \(answer) (see \(log))"
        case .refused(let call, let status, let answer):
            "the manager refused \(call) with \(status): \(answer)"
        case .unreachable(let call, let reason):
            "\(call) got no answer: \(reason)"
        }
    }
}
