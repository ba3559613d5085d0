#if DEBUG
internal import NIOCore

/// What is said between a router and its peers, told line by line to who looks into a finding.
struct Transcript {
    let tell: ((String) -> Void)?

    func note(_ what: @autoclosure () -> String) { tell?(what()) }

    /// Bytes that are no text are shown by number.
    func note(_ what: @autoclosure () -> String, _ bytes: ByteBuffer) {
        guard let tell else { return }
        var text = "\(what()) "
        for byte in bytes.readableBytesView {
            switch byte {
            case 0: text += "."
            case 32..<127: text.unicodeScalars.append(Unicode.Scalar(byte))
            default: text += "<\(byte)>"
            }
        }
        tell(text)
    }
}
#endif
