internal import Foundation

/// timestamptz as PostgreSQL writes it under DateStyle ISO: `2026-11-27 00:03:21.5+02`, `…+05:30`, `0044-03-15 12:00:00+00 BC`.
enum TimestampText {
    /// UTC, to the microsecond; years from 1 to 9999 and beyond.
    static func text(_ date: Date) -> String {
        let microseconds = (date.timeIntervalSince1970 * 1_000_000).rounded()
        // Beyond what PostgreSQL holds (294276 AD): its own error is the clear one.
        guard abs(microseconds) < 9.2e18 else { return "out of range" }
        let total = Int64(microseconds)
        let days = Int(floorDivide(total, 86_400_000_000))
        let time = total - Int64(days) * 86_400_000_000
        let (year, month, day) = civil(days)
        let fraction = time % 1_000_000
        let seconds = time / 1_000_000
        let shownYear = year > 0 ? year : 1 - year
        return "\(padded(shownYear, 4))-\(padded(month, 2))-\(padded(day, 2)) "
            + "\(padded(Int(seconds / 3600), 2)):\(padded(Int(seconds / 60 % 60), 2)):\(padded(Int(seconds % 60), 2)).\(padded(Int(fraction), 6))+00"
            + (year > 0 ? "" : " BC")
    }

    /// nil: the text is none, or is infinite.
    static func date(_ text: String) -> Date? {
        let pattern = /(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?( BC)?/
        guard let match = text.wholeMatch(of: pattern), let year = Int(match.1), let month = Int(match.2), let day = Int(match.3), let hour = Int(match.4),
            let minute = Int(match.5), let second = Int(match.6), let zoneHours = Int(match.9), (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        let zone = zoneHours * 3600 + (match.10.flatMap { Int($0) } ?? 0) * 60 + (match.11.flatMap { Int($0) } ?? 0)
        let digits = match.7.map { String($0) + String(repeating: "0", count: 6 - $0.count) } ?? "0"
        let days = days(year: match.12 == nil ? year : 1 - year, month: month, day: day)
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - (match.8 == "-" ? -zone : zone)
        return Date(timeIntervalSince1970: Double(seconds) + (Double(digits) ?? 0) / 1_000_000)
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    private static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
        value / divisor - (value % divisor < 0 ? 1 : 0)
    }

    // Days since 1970-01-01 in the proleptic Gregorian calendar; years are counted in eras of 400 that begin in March.

    private static func days(year: Int, month: Int, day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func civil(_ days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }
}
