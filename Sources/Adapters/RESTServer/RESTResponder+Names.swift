internal import ControlAPI
internal import HTTPTypes
internal import Hummingbird

extension RESTResponder {
    /// What a request is called in answers, logs and trails: by itself, and as a step of a trace.
    struct Names: Sendable {
        let id: String
        let trace: TraceContext

        init(_ request: Request) {
            id = Self.requestID(request)
            trace = TraceContext(
                parents: Self.traceParent.map { request.headers[values: $0] } ?? [], states: Self.traceState.map { request.headers[values: $0] } ?? [])
        }

        init(of request: RESTRequest) { (id, trace) = (request.id, request.trace) }

        func mark(_ headers: inout HTTPFields) {
            if let name = Self.requestIDName { headers[name] = id }
            if let name = Self.traceParent { headers[name] = trace.parent }
        }

        private static let requestIDName = HTTPField.Name("X-Request-Id")
        private static let traceParent = HTTPField.Name(TraceContext.parentName)
        private static let traceState = HTTPField.Name(TraceContext.stateName)

        /// The client's own id when it is harmless, else a new one.
        private static func requestID(_ request: Request) -> String {
            if let name = requestIDName, let given = request.headers[name], (1...64).contains(given.utf8.count), given.utf8.allSatisfy(isHarmless) {
                return given
            }
            return String(UInt64.random(in: 1 << 60 ... .max), radix: 16)
        }

        private static func isHarmless(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            default: false
            }
        }
    }
}
