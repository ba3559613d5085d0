package import NIOCore

/// BackendKeyData: what a CancelRequest for this session has to name.
package struct BackendKeyData: Hashable, Sendable {
    package let processID: Int32
    package let secret: Int32

    package init(body: ByteBuffer) throws(WireError) {
        let kind = BackendKind.backendKeyData
        var body = body
        processID = try body.readChecked(kind: kind)
        secret = try body.readChecked(kind: kind)
        try body.requireEmpty(kind: kind)
    }
}

extension ByteBuffer {
    package mutating func writeBackendKeyData(processID: Int32, secret: Int32) {
        writeFrame(BackendKind.backendKeyData) { $0.writeMultipleIntegers(processID, secret) }
    }
}
