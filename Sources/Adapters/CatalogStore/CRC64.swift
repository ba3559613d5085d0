internal import Foundation

/// The CRC-64 of ECMA-182, reflected, as the xz file format uses it. Finds every burst of damage up to 64 bits, and any other but one in 2^64.
enum CRC64 {
    private static let table: [UInt64] = (0..<256).map { index in
        (0..<8).reduce(UInt64(index)) { value, _ in value & 1 == 1 ? (value >> 1) ^ 0xC96C_5795_D787_0F42 : value >> 1 }
    }

    static func checksum(_ data: Data) -> UInt64 {
        let table = table
        return ~data.withUnsafeBytes { bytes in
            bytes.reduce(~UInt64(0)) { value, byte in table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] ^ (value >> 8) }
        }
    }
}
