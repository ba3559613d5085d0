/// The text of a PostgreSQL array (PostgreSQL documentation, section 8.15.6), for a parameter.
enum ArrayLiteral {
    /// Every element quoted; nil is NULL.
    static func text(_ elements: some Sequence<String?>) -> String {
        var text = "{"
        for element in elements {
            if text.utf8.count > 1 { text += "," }
            guard let element else {
                text += "NULL"
                continue
            }
            text += "\""
            for scalar in element.unicodeScalars {
                if scalar == "\"" || scalar == "\\" { text.unicodeScalars.append("\\") }
                text.unicodeScalars.append(scalar)
            }
            text += "\""
        }
        return text + "}"
    }

    static func hex(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = Array("\\x".utf8)
        let digits = Array("0123456789abcdef".utf8)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
