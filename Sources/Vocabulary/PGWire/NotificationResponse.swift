package import NIOCore

/// NotificationResponse: what a NOTIFY said on a channel that is listened to.
package struct NotificationResponse: Hashable, Sendable {
    package let processID: Int32
    package let channel: String
    package let payload: String

    package init(processID: Int32, channel: String, payload: String) {
        self.processID = processID
        self.channel = channel
        self.payload = payload
    }

    package init(body: ByteBuffer) throws(WireError) {
        let kind = BackendKind.notificationResponse
        var body = body
        processID = try body.readChecked(kind: kind)
        channel = try body.readCStringRepairing(kind: kind)
        payload = try body.readCStringRepairing(kind: kind)
        try body.requireEmpty(kind: kind)
    }
}

extension ByteBuffer {
    package mutating func writeNotificationResponse(_ notification: NotificationResponse) {
        writeFrame(BackendKind.notificationResponse) { buffer in
            buffer.writeInteger(notification.processID)
            buffer.writeCString(notification.channel)
            buffer.writeCString(notification.payload)
        }
    }
}
