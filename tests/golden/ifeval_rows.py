"""Random rows of IF-Eval with responses that follow their instructions about half of the time."""

import json
import random

ENGLISH = """The river was high after three days of rain, and the bridge had to be closed.
Dr. Brown arrived at 5 p.m. with his wife. She works for the U.S. Army in Washington, D.C. and he doesn't.
"Is it true?" asked Mrs. Hill. "I can't say..." He left.
We paid $3.50 for two coffees (with milk, no sugar) at St. Mary's.
J. S. Bach wrote it in 1720. No. 5 is my favourite!
NASA sent a probe to Mars in July. It cost approx. 2.5 billion dollars.
Wait... what?! I'm gonna tell you: it's over.
He lives on 5th Ave. in New York. They've met him, e.g. at Yale Univ. last year.
Prof. Lee, Ph.D., is the author of 'The Sea' -- a book that I like.
Eat well, sleep well, and walk a lot; that is all there is to it.
the quick brown fox jumps over the lazy dog. then it sleeps.
I cannot go. Gimme the book! 'Tis late.
Visit https://example.com/a?b=c or write to me@example.org for more. Thanks.
Our team won 3-2. What a game it was!
Sec. 4 says otherwise. See fig. 2 for details. i.e. the blue line.
He said: "Come in." Then he closed the door.
The meeting is at 10 a.m. on Monday. The agenda follows.
My favourite letter is B. Yours is C. Right?
It was cold.It was dark.Nobody came.""".split("\n")
OTHERS = {
    "de": "Der Fluss war nach drei Tagen Regen hoch, und die Brücke musste gesperrt werden. Wir gingen zu Fuß nach Hause.",
    "fr": "La rivière était haute après trois jours de pluie et le pont a dû être fermé. Nous sommes rentrés à pied.",
    "es": "El río estaba crecido después de tres días de lluvia y hubo que cerrar el puente. Volvimos a casa andando.",
    "it": "Il fiume era alto dopo tre giorni di pioggia e il ponte è stato chiuso. Siamo tornati a casa a piedi.",
    "pt": "O rio estava cheio depois de três dias de chuva e a ponte teve de ser fechada. Voltamos para casa a pé.",
    "ru": "Река поднялась после трёх дней дождя, и мост пришлось закрыть. Мы пошли домой пешком.",
    "hi": "तीन दिन की बारिश के बाद नदी में पानी बढ़ गया और पुल बंद करना पड़ा। हम पैदल घर गए।",
    "ja": "三日間の雨の後で川の水が増え、橋は閉鎖されました。私たちは歩いて家に帰りました。",
    "ko": "사흘 동안 비가 온 뒤에 강물이 불어서 다리를 닫아야 했다. 우리는 걸어서 집에 갔다.",
    "ar": "ارتفع منسوب النهر بعد ثلاثة أيام من المطر وأغلق الجسر. عدنا إلى البيت سيرا على الأقدام.",
    "vi": "Sau ba ngày mưa nước sông dâng cao và cây cầu phải đóng cửa. Chúng tôi đi bộ về nhà.",
    "fi": "Joki oli korkealla kolmen sadepäivän jälkeen, ja silta oli suljettava. Kävelimme kotiin.",
    "pl": "Po trzech dniach deszczu rzeka wezbrała i most trzeba było zamknąć. Wróciliśmy do domu pieszo.",
    "th": "หลังจากฝนตกสามวัน น้ำในแม่น้ำก็สูงขึ้นและต้องปิดสะพาน เราเดินกลับบ้าน",
    "bg": "Реката се покачи след три дни дъжд и мостът трябваше да бъде затворен. Прибрахме се пеша.",
    "kn": "ಮೂರು ದಿನಗಳ ಮಳೆಯ ನಂತರ ನದಿ ತುಂಬಿ ಹರಿಯಿತು ಮತ್ತು ಸೇತುವೆಯನ್ನು ಮುಚ್ಚಬೇಕಾಯಿತು.",
    "sw": "Mto ulikuwa umejaa baada ya siku tatu za mvua na daraja lilifungwa. Tulirudi nyumbani kwa miguu.",
}
WORDS = "river bridge rain tea the was say book sleep letter go NASA it's Ünder blue".split()
RELATIONS = ["less than", "at least"]
MARKS = ["P.S.", "P.P.S", "PS:"]
ENDS = ["Any other questions?", "Is there anything else I can help with?", "the end."]


def _text(rng):
    kind = rng.random()
    if kind < 0.12:
        return rng.choice(list(OTHERS.values()))
    lines = rng.sample(ENGLISH, rng.randint(1, 4))
    text = rng.choice([" ", "\n", "  ", "\n\n"]).join(lines)
    if kind < 0.22:
        return text.upper()
    return text.lower() if kind < 0.32 else text


def _decorate(rng, text, prompt):
    pieces = [text]
    for _ in range(rng.randint(0, 4)):
        pieces.insert(rng.randint(0, len(pieces)), rng.choice([
            "* one\n* two\n", "- a\n  - b\n", "**bold text** and *thin*", "** **", "*\n*", "<<A title>>", "<<>>",
            "[name] and [address]", "[a\nb]", "***", "\n***\n", " ***", "******", "Section 1\n", "SECTION 2 ", "Section",
            "P.S. Do it.", "p. s. maybe", "P.P.S see you", "My answer is yes.", "My answer is maybe", _text(rng),
            "Sure! Here it is:\n", "\n\n", "Ünder the bridge", "1. first\n2. second", "é ß İ Σ", "...", "¿Qué?", "“Yes.”"]))
    text = rng.choice(["\n", " ", "\n\n"]).join(pieces)
    if rng.random() < 0.15:
        text += "\n" + rng.choice(ENDS)
    if rng.random() < 0.1:
        text = prompt + "\n" + text
    if rng.random() < 0.1:
        text = '"' + text + '"'
    if rng.random() < 0.08:
        text = rng.choice(["```json\n%s\n```", "```\n%s```", "%s"]) % rng.choice(
            ['{"a": [1, 2.5e3, null]}', '{"a": NaN, "b": "NaN\\""}', "{'a': 1}", '["x", -Infinity]', '{"a": 1,}', "12", '"a\nb"', ""])
    return text if rng.random() > 0.02 else rng.choice(["", " \n ", "123", "?!"])


def _follow(rng, kind, arguments, text, prompt):
    """The text changed so that it probably follows one instruction."""
    group, name = kind.split(":")
    if name == "english_capital":
        return _text(rng).upper()
    if name == "english_lowercase":
        return " ".join(rng.sample(ENGLISH, rng.randint(1, 3))).lower()
    if name == "response_language":
        return OTHERS.get(arguments["language"], " ".join(rng.sample(ENGLISH, 2)))
    if name in ("existence", "frequency"):
        words = arguments.get("keywords") or [arguments["keyword"]] * arguments["frequency"]
        return text + " " + ", ".join(words)
    if name == "forbidden_words" or name == "no_comma":
        return rng.choice(["Go on.", "Nobody came; we left.", "goat NASAs"])
    if name == "number_paragraphs":
        return rng.choice(["\n***\n", "***", " *** "]).join(["A. B."] * arguments["num_paragraphs"])
    if name == "nth_paragraph_first_word":
        return "\n\n".join([rng.choice(["", '"', "'"]) + arguments["first_word"] + rng.choice([" x", ", y", "."])] * arguments["num_paragraphs"])
    if name == "number_bullet_lists":
        return "List:\n" + "\n".join([rng.choice(["* ", "- ", "  * ", "*"]) + "item"] * arguments["num_bullets"])
    if name == "multiple_sections":
        return "".join(f"{arguments['section_spliter']} {i + 1}\ntext\n" for i in range(arguments["num_sections"]))
    if name == "json_format":
        return rng.choice(["```json\n%s\n```", "```%s```", "%s"]) % rng.choice(['{"a": [1, 2.5e3, null]}', '{"a": NaN}', "[]", "12"])
    if name == "two_responses":
        return text.replace("*", "") + "\n******\n" + _text(rng)
    if name == "repeat_prompt":
        return rng.choice(["", "\n"]) + prompt + " " + text
    if name == "end_checker":
        return text + rng.choice([" ", "\n"]) + arguments["end_phrase"] + rng.choice(["", '"', " \n"])
    if name == "quotation":
        return f'"{text}"'
    marks = {"postscript": "\n" + str(arguments.get("postscript_marker")) + " x", "title": "<<A song>>", "constrained_response": "My answer is no.",
             "number_placeholders": "[a] " * 3, "number_highlighted_sections": "*a* **b** *c* "}
    return text + marks.get(name, "")


def _arguments(rng, prompt):
    number = lambda most: rng.randint(1, most)
    relation = rng.choice(RELATIONS)
    paragraphs = number(4)
    return {
        "keywords:existence": {"keywords": rng.sample(WORDS, number(2))},
        "keywords:frequency": {"keyword": rng.choice(WORDS), "frequency": number(3), "relation": relation},
        "keywords:forbidden_words": {"forbidden_words": rng.sample(WORDS, number(3))},
        "keywords:letter_frequency": {"letter": rng.choice("aeqzTk"), "let_frequency": number(20), "let_relation": relation},
        "language:response_language": {"language": rng.choice(["en"] * 4 + list(OTHERS))},
        "length_constraints:number_sentences": {"num_sentences": number(10), "relation": relation},
        "length_constraints:number_paragraphs": {"num_paragraphs": number(3)},
        "length_constraints:number_words": {"num_words": number(80), "relation": relation},
        "length_constraints:nth_paragraph_first_word": {
            "num_paragraphs": paragraphs, "nth_paragraph": number(paragraphs), "first_word": rng.choice(["The", "he", "we", "it"])},
        "detectable_content:number_placeholders": {"num_placeholders": number(3)},
        "detectable_content:postscript": {"postscript_marker": rng.choice(MARKS)},
        "detectable_format:number_bullet_lists": {"num_bullets": number(4)},
        "detectable_format:constrained_response": {},
        "detectable_format:number_highlighted_sections": {"num_highlights": number(4)},
        "detectable_format:multiple_sections": {"section_spliter": rng.choice(["Section", "SECTION"]), "num_sections": number(3)},
        "detectable_format:json_format": {},
        "detectable_format:title": {},
        "combination:two_responses": {},
        "combination:repeat_prompt": {"prompt_to_repeat": prompt},
        "startend:end_checker": {"end_phrase": rng.choice(ENDS)},
        "startend:quotation": {},
        "change_case:capital_word_frequency": {"capital_frequency": number(6), "capital_relation": relation},
        "change_case:english_capital": {},
        "change_case:english_lowercase": {},
        "punctuation:no_comma": {},
    }


def rows(count, seed):
    """Yields rows in the published shape with a `completion`; every kind occurs equally often."""
    rng = random.Random(seed)
    for i in range(count):
        prompt = rng.choice(["Write about the river.", "Tell me a joke, please.", "Who was J. S. Bach?"])
        arguments = _arguments(rng, prompt)
        kinds = list(arguments)
        ids = [kinds[i % len(kinds)]] + rng.sample(kinds, rng.randint(0, 2))
        kwargs = [dict.fromkeys(["num_words", "letter"]) | arguments[kind] for kind in ids]
        completion = _decorate(rng, _text(rng), prompt)
        if rng.random() < 0.6:
            completion = _follow(rng, ids[0], arguments[ids[0]], completion, prompt)
        yield {"key": i, "prompt": prompt, "instruction_id_list": ids, "kwargs": kwargs,
               "completion": completion}


if __name__ == "__main__":
    for row in rows(20, 1):
        print(json.dumps(row, ensure_ascii=False))
