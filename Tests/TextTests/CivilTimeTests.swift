import Testing
import Text

@Suite struct CivilTimeTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (-1, "1969-12-31T23:59:59Z"), (951_782_400, "2000-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"), (4_294_967_296, "2106-02-07T06:28:16Z"),
            (-2_208_988_800, "1900-01-01T00:00:00Z"), (-62_167_219_200, "0000-01-01T00:00:00Z"),
            (-62_167_219_201, "-0001-12-31T23:59:59Z"), (253_402_300_800, "10000-01-01T00:00:00Z"),
        ] as [(Int64, String)])
    func knownTimes(_ seconds: Int64, _ text: String) {
        #expect(CivilTime(secondsSince1970: seconds).text == text)
    }

    @Test func theExtremesAreTimesToo() {
        #expect(CivilTime(secondsSince1970: .max).text == "292277026596-12-04T15:30:07Z")
        #expect(CivilTime(secondsSince1970: .min).text == "-292277022657-01-27T08:29:52Z")
    }
}
