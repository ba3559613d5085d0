internal import ControlAPI
internal import Crypto
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
package import Logging
package import Secrets
internal import Synchronization

/// Finds out where a request comes from that another server of the cluster has passed on. What it says of the caller counts where it has the cluster's key, where
/// it says so of this request, to this process, now, and for the first time; otherwise the connection's own address does.
package final class VouchedCallers: Sendable {
    /// How much the clocks of two servers may differ, the way between them included.
    package static let leeway = 60.0
    /// As many vouchers within the leeway are known again; while there are more, further ones do not count.
    static let noncesMax = 100_000

    enum Refusal: String { case forged, late, repeated, crowded, noAddress = "no address" }

    private struct State {
        /// With the time, in seconds, after which it is too late for them anyway.
        var nonces: [String: Double] = [:]
        var sweepAt = 0.0
        var toldAt = -Double.infinity
    }

    private let keys: [SymmetricKey]
    private let receiver: String
    private let logger: Logger
    private let now: @Sendable () -> Double
    private let state = Mutex(State())

    /// - receiver: this process, as those that pass requests on to it know it.
    package init(_ box: SecretBox, receiver: String, logger: Logger, now: @escaping @Sendable () -> Double = { Date().timeIntervalSince1970 }) {
        keys = box.callerKeys.map { SymmetricKey(data: $0) }
        self.receiver = receiver
        self.logger = logger
        self.now = now
    }

    struct Caller {
        let address: CallerAddress
        /// Of the request that the address was said of.
        let content: String
    }

    /// nil: nobody vouches for the request, or nobody whom it takes at its word.
    func caller(of request: Request, id: String) -> Caller? {
        guard let name = CallerVoucher.fieldName, let text = request.headers[name] else { return nil }
        let key = HTTPField.Name(RESTRequest.idempotencyKeyName).flatMap { request.headers[$0] }
        let envelope = CallerVoucher.Envelope(
            receiver: receiver, method: request.method.rawValue, token: request.headers[.authorization] ?? "", idempotencyKey: key ?? "", requestID: id)
        guard request.headers[values: name].count == 1, let voucher = CallerVoucher(text, envelope, keys: keys) else { return refuse(.forged) }
        // An address that another server has read from its own socket.
        guard let address = CallerAddress(text: voucher.address) else { return refuse(.noAddress) }
        if let refusal = take(voucher) { return refuse(refusal) }
        return Caller(address: address, content: voucher.content)
    }

    private func take(_ voucher: CallerVoucher) -> Refusal? {
        let (time, made) = (now(), Double(voucher.time) / 1000)
        guard abs(time - made) <= Self.leeway else { return .late }
        return state.withLock { state in
            if time >= state.sweepAt {
                state.sweepAt = time + 1
                state.nonces = state.nonces.filter { $0.value >= time }
            }
            guard state.nonces[voucher.nonce] == nil else { return .repeated }
            guard state.nonces.count < Self.noncesMax else { return .crowded }
            state.nonces[voucher.nonce] = made + Self.leeway
            return nil
        }
    }

    /// Once a minute somebody is told, whoever sends them.
    private func refuse(_ refusal: Refusal) -> Caller? {
        let time = now()
        let isTold = state.withLock { state in
            guard abs(time - state.toldAt) >= 60 else { return true }
            state.toldAt = time
            return false
        }
        guard !isTold else { return nil }
        logger.warning(
            "A request says where it comes from, and is not believed: the address of its connection counts. Are the managers' clocks and keys the same?",
            metadata: ["reason": "\(refusal.rawValue)", "address": "\(CallerWatch.current?.address.full ?? "")"])
        return nil
    }
}

extension VouchedCallers.Caller {
    /// Throws an `APIError` of 400 where somebody has put another request behind the address.
    func check(_ request: RESTRequest) throws(APIError) {
        guard request.contentDigest != content else { return }
        throw APIError(.invalidRequest, "the request is not the one that was passed on with its caller's address")
    }
}
