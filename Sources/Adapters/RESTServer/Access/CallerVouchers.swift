internal import ControlAPI
internal import Crypto
internal import Foundation
internal import HTTPTypes
package import Secrets

/// Says where requests come from that are passed on to another server of the cluster.
package struct CallerVouchers: Sendable {
    package static let fieldName = "PGMosaic-Caller"

    private let key: SymmetricKey
    /// Seconds since 1970.
    private let now: @Sendable () -> Double

    package init(_ box: SecretBox, now: @escaping @Sendable () -> Double = { Date().timeIntervalSince1970 }) {
        key = SymmetricKey(data: box.callerKeys[0])
        self.now = now
    }

    /// The value of the field for one attempt to pass `request` on; nil where nobody can say where it comes from.
    ///
    /// - receiver: the process that it is meant for.
    /// - idempotencyKey: the one that it is passed on with.
    package func voucher(for request: RESTRequest, idempotencyKey: String, receiver: String) -> String? {
        guard let address = request.address.full else { return nil }
        let nonce = RESTRequest.hex(SymmetricKey(size: .bits128).withUnsafeBytes { Array($0) })
        let voucher = CallerVoucher(time: Int64(now() * 1000), nonce: nonce, address: address, content: request.contentDigest)
        let envelope = CallerVoucher.Envelope(
            receiver: receiver, method: request.route.method.rawValue, token: request.headers[.authorization] ?? "", idempotencyKey: idempotencyKey,
            requestID: request.id)
        return voucher.text(envelope, key: key)
    }
}
