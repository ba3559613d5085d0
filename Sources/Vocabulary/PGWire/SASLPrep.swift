internal import Foundation

/// The form of a password that is hashed (RFC 4013), as PostgreSQL's pg_saslprep does it.
enum SASLPrep {
    /// Printable ASCII stays as it is; other text is mapped and normalized (NFKC). What the profile prohibits is taken as raw bytes, which is
    /// what PostgreSQL does, so that any password that can be set can be used.
    static func prepared(_ password: String) -> [UInt8] {
        let raw = Array(password.utf8)
        guard !raw.allSatisfy({ $0 < 0x80 }) else { return raw }
        var mapped = String.UnicodeScalarView()
        for scalar in password.unicodeScalars {
            if isNonASCIISpace(scalar.value) {
                mapped.append(" ")
            } else if !isMappedToNothing(scalar.value) {
                mapped.append(scalar)
            }
        }
        // The RFC looks for what is prohibited in the normalized text; PostgreSQL does in the text before that, and its verifiers are what must fit.
        guard !mapped.isEmpty, !mapped.contains(where: isProhibited), hasConsistentDirection(mapped) else { return raw }
        // NFKC in two steps: in one, Foundation leaves a Hangul syllable and the final consonant behind it apart.
        return Array(String(mapped).decomposedStringWithCompatibilityMapping.precomposedStringWithCanonicalMapping.utf8)
    }

    /// RFC 3454, table C.1.2.
    private static func isNonASCIISpace(_ value: UInt32) -> Bool {
        switch value {
        case 0xA0, 0x1680, 0x2000...0x200B, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    /// RFC 3454, table B.1.
    private static func isMappedToNothing(_ value: UInt32) -> Bool {
        switch value {
        case 0xAD, 0x34F, 0x1806, 0x180B...0x180D, 0x200C, 0x200D, 0x2060, 0xFE00...0xFE0F, 0xFEFF: true
        default: false
        }
    }

    /// RFC 4013, section 2.3 (tables C.1.2 to C.9), and unassigned code points (2.5).
    private static func isProhibited(_ scalar: Unicode.Scalar) -> Bool {
        let value = scalar.value
        if isNonASCIISpace(value) || value & 0xFFFE == 0xFFFE { return true }
        switch value {
        case 0...0x1F, 0x7F...0x9F, 0x6DD, 0x70F, 0x180E, 0x200C, 0x200D, 0x2028, 0x2029, 0x2060...0x2063, 0x206A...0x206F, 0xFEFF,
            0xFFF9...0xFFFC, 0x1D173...0x1D17A,  // control characters
            0xE000...0xF8FF, 0xF0000...0xFFFFD, 0x100000...0x10FFFD,  // private use
            0xFDD0...0xFDEF,  // not characters
            0xFFFD, 0x2FF0...0x2FFB, 0x340, 0x341, 0x200E, 0x200F, 0x202A...0x202E, 0xE0001, 0xE0020...0xE007F:
            return true
        default:
            // The profile is that of Unicode 3.2: what came later (all emoji) counts as unassigned.
            guard let age = scalar.properties.age else { return true }
            return age.major > 3 || (age.major == 3 && age.minor > 2)
        }
    }

    /// RFC 3454, section 6: text with a right-to-left character holds no left-to-right one, and starts and ends right-to-left.
    private static func hasConsistentDirection(_ scalars: String.UnicodeScalarView) -> Bool {
        guard scalars.contains(where: { isRightToLeft($0.value) }) else { return true }
        guard let first = scalars.first, let last = scalars.last, isRightToLeft(first.value), isRightToLeft(last.value) else { return false }
        return !scalars.contains { !isRightToLeft($0.value) && isLetter($0) }
    }

    /// Letters that are written above others (U+0363 to U+036F) have no direction.
    private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isAlphabetic && scalar.properties.generalCategory != .nonspacingMark
    }

    /// The blocks whose letters are of bidirectional class R or AL (Hebrew to Arabic Extended, and their presentation forms).
    private static func isRightToLeft(_ value: UInt32) -> Bool {
        switch value {
        case 0x5BE, 0x5C0, 0x5C3, 0x5D0...0x5EA, 0x5F0...0x5F4, 0x61B, 0x61F, 0x621...0x63A, 0x640...0x64A, 0x66D...0x66F, 0x671...0x6D5,
            0x6E5, 0x6E6, 0x6FA...0x6FE, 0x700...0x70D, 0x710, 0x712...0x72C, 0x780...0x7A5, 0x7B1, 0x200F, 0xFB1D, 0xFB1F...0xFB28,
            0xFB2A...0xFB4F, 0xFB50...0xFBB1, 0xFBD3...0xFD3D, 0xFD50...0xFDFC, 0xFE70...0xFEFC:
            true
        default: false
        }
    }
}
