internal import AsyncHTTPClient
internal import ControlAPI
internal import HTTPTypes
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import RESTServer
package import Secrets

/// Takes a request to the leading manager.
package final class LeaderClient: Sendable {
    /// Says who passed the request on: it is carried out there, or not at all.
    static let forwardedName = "PGMosaic-Forwarded-By"
    static let answerBytesMax = 64 << 20
    /// With the handshake of TLS, which takes seconds on a busy machine. A leader that is gone is not waited for so long: another one leads by then.
    static let connectLimit = TimeAmount.seconds(10)

    private let http: HTTPClient
    private let id: String
    private let tls: LeaderTLS
    private let attemptLimit: TimeAmount
    /// nil: without the cluster's key the leader takes this manager for the caller.
    private let vouchers: CallerVouchers?

    /// - attemptLimit: as long as a request may take.
    /// - box: the cluster's key; nil: there is none.
    ///
    package init(id: String, _ tls: LeaderTLS, attemptLimit: Duration, box: SecretBox? = nil) {
        self.tls = tls
        vouchers = box.map { CallerVouchers($0) }
        self.attemptLimit = TimeAmount(attemptLimit)
        var configuration = HTTPClient.Configuration()
        // The leader may have changed: who calls looks again instead.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.timeout.connect = Self.connectLimit
        // The limit of an attempt ends with the head of the answer.
        configuration.timeout.read = self.attemptLimit
        configuration.redirectConfiguration = .disallow
        configuration.httpVersion = .http1Only
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 64
        http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        self.id = id
    }

    package func close() async { try? await http.shutdown() }

    enum Failure: Error, Sendable {
        /// Certainly nothing arrived: there was no connection.
        case notSent(String)
        /// It may have arrived, and may have been carried out, or be so later.
        case unknown(String)
    }

    func send(_ request: RESTRequest, uri: String, idempotencyKey: String, to leader: LeaderRecord) async throws(Failure) -> RESTAnswer {
        var outgoing = HTTPClientRequest(url: leader.url + uri)
        outgoing.tlsConfiguration = tls.current
        outgoing.method = HTTPMethod(rawValue: request.route.method.rawValue)
        outgoing.headers.add(name: "accept", value: "application/json")
        outgoing.headers.add(name: "x-request-id", value: request.id)
        outgoing.headers.add(name: TraceContext.parentName, value: request.trace.parent)
        if let state = request.trace.state { outgoing.headers.add(name: TraceContext.stateName, value: state) }
        outgoing.headers.add(name: RESTRequest.idempotencyKeyName, value: idempotencyKey)
        outgoing.headers.add(name: Self.forwardedName, value: id)
        if let voucher = vouchers?.voucher(for: request, idempotencyKey: idempotencyKey, receiver: leader.instance) {
            outgoing.headers.add(name: CallerVouchers.fieldName, value: voucher)
        }
        if let token = request.headers[.authorization] { outgoing.headers.add(name: "authorization", value: token) }
        if !request.body.isEmpty {
            outgoing.headers.add(name: "content-type", value: "application/json")
            outgoing.body = .bytes(ByteBuffer(bytes: request.body))
        }
        do {
            let response = try await http.execute(outgoing, timeout: attemptLimit)
            let body = try await response.body.collect(upTo: Self.answerBytesMax)
            return Self.answer(response, Array(buffer: body))
        } catch {
            throw Self.failure(error)
        }
    }

    private static func answer(_ response: HTTPClientResponse, _ body: [UInt8]) -> RESTAnswer {
        var answer = RESTAnswer(status: Int(response.status.code), contentType: response.headers.first(name: "content-type"), body: body)
        for name in ["Retry-After", "Allow", "WWW-Authenticate", "ETag", "Cache-Control"] {
            if let field = HTTPField.Name(name), let value = response.headers.first(name: name) { answer.headers.append(HTTPField(name: field, value: value)) }
        }
        return answer
    }

    /// Only what certainly comes before the request is sent counts as not sent.
    private static func failure(_ error: any Error) -> Failure {
        switch error {
        case let error as HTTPClientError where error == .connectTimeout || error == .getConnectionFromPoolTimeout: .notSent("it takes no connection")
        case is NIOConnectionError: .notSent("it takes no connection")
        case let error as IOError where error.errnoCode == ECONNREFUSED: .notSent("it takes no connection")
        case is BoringSSLError where isRefusal(error), is NIOSSLError where isRefusal(error): .notSent("it does not take this manager's certificate: see leader.certificate_file")
        case is NIOSSLError: .notSent("its certificate is not trusted, or it does not speak TLS")
        case let error as HTTPClientError where error == .tlsHandshakeTimeout || error == .invalidURL || error == .emptyHost: .notSent(error.shortDescription)
        case let error as HTTPClientError: .unknown(error.shortDescription)
        case is CancellationError: .unknown("another manager leads by now")
        default: .unknown("\(type(of: error))")
        }
    }

    /// An alert that ends the leader's handshake, in which a certificate of ours is demanded: in TLS 1.3 it comes when the request is under way, which nobody
    /// has read then (RFC 8446, sections 4.4.2.4 and 6.2).
    private static func isRefusal(_ error: any Error) -> Bool {
        let text = "\(error)".uppercased()
        return text.contains("ALERT") && ["CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE"].contains { text.contains($0) }
    }
}
