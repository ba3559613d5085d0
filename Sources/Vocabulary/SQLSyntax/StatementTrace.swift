/// The trace that a statement's client names in a comment, as sqlcommenter and the instrumentations of OpenTelemetry write it:
/// `SELECT 1 /*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/`. https://google.github.io/sqlcommenter/spec/
package enum StatementTrace {
    /// Longer comments are not looked through.
    private static let commentMax = 4096
    private static let mark = Array("traceparent='".utf8)
    private static let valueMax = 128

    /// The value of `traceparent` in the text's last or first comment, whatever it is worth; nil where there is none.
    ///
    /// Cost: a few comparisons for a text that neither begins nor ends with a comment.
    package static func parent(in text: UnsafeRawBufferPointer) -> String? {
        var (start, end) = (text.startIndex, text.endIndex)
        while end > start, isBlank(text[end - 1]) || text[end - 1] == UInt8(ascii: ";") { end -= 1 }
        while start < end, isBlank(text[start]) { start += 1 }
        guard end - start >= 4 else { return nil }
        let body = start..<end
        return lastComment(text, body).flatMap { parent(text, $0) } ?? firstComment(text, body).flatMap { parent(text, $0) }
    }

    /// The text with such a comment behind it, on a line of its own, since the text may end in a comment to the end of its line. As it is where it names a trace already.
    ///
    /// - parent: without a quote.
    package static func commented(_ text: String, parent: String) -> String {
        var text = text
        return text.withUTF8 { Self.parent(in: UnsafeRawBufferPointer($0)) } == nil ? "\(text)\n/*traceparent='\(parent)'*/" : text
    }

    /// What is between its signs.
    private static func lastComment(_ text: UnsafeRawBufferPointer, _ body: Range<Int>) -> Range<Int>? {
        let end = body.upperBound - 2
        guard isPair(text, end, "*", "/") else { return nil }
        var start = end - 2
        while start >= max(body.lowerBound, end - commentMax) {
            if isPair(text, start, "/", "*") { return start + 2..<end }
            start -= 1
        }
        return nil
    }

    private static func firstComment(_ text: UnsafeRawBufferPointer, _ body: Range<Int>) -> Range<Int>? {
        guard isPair(text, body.lowerBound, "/", "*") else { return nil }
        let start = body.lowerBound + 2
        var end = start
        while end + 1 < min(body.upperBound, start + commentMax) {
            if isPair(text, end, "*", "/") { return start..<end }
            end += 1
        }
        return nil
    }

    private static func parent(_ text: UnsafeRawBufferPointer, _ comment: Range<Int>) -> String? {
        var position = comment.lowerBound
        while position + mark.count < comment.upperBound {
            let isName = position == comment.lowerBound || text[position - 1] == UInt8(ascii: ",") || isBlank(text[position - 1])
            if isName, text[position..<position + mark.count].elementsEqual(mark) {
                let value = text[position + mark.count..<comment.upperBound].prefix(valueMax)
                return value.firstIndex(of: UInt8(ascii: "'")).map { String(decoding: value[..<$0], as: UTF8.self) }
            }
            position += 1
        }
        return nil
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }

    private static func isPair(_ text: UnsafeRawBufferPointer, _ index: Int, _ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Bool {
        text[index] == UInt8(ascii: first) && text[index + 1] == UInt8(ascii: second)
    }
}
