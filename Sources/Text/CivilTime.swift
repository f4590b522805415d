/// A date of the Gregorian calendar and a time of the day, in UTC.
public struct CivilTime: Equatable, Sendable {
    public let year: Int64
    public let month, day, hour, minute, second: Int

    /// - Parameter seconds: since 1970, of any sign.
    public init(secondsSince1970 seconds: Int64) {
        let days = seconds >= 0 ? seconds / 86_400 : -((-(seconds + 1)) / 86_400) - 1
        // The product passes the smallest number by less than a day.
        let rest = Int(seconds &- days &* 86_400)
        hour = rest / 3600
        minute = rest / 60 % 60
        second = rest % 60
        // Counted from 1 March of year 0, in eras of 400 years, which are 146,097 days each.
        let shifted = days + 719_468
        let era = shifted >= 0 ? shifted / 146_097 : (shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = Int(dayOfYear - (153 * monthFromMarch + 2) / 5) + 1
        month = Int(monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9)
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// "2026-11-28T01:09:39Z"
    public var text: String {
        var digits = String(year < 0 ? 0 - year : year)
        while digits.utf8.count < 4 { digits = "0" + digits }
        return (year < 0 ? "-" : "") + digits + "-" + two(month) + "-" + two(day) + "T" + two(hour) + ":" + two(minute)
            + ":" + two(second) + "Z"
    }

    private func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
