"""Texts as people send them by SMS, in nineteen languages and with emoji of every kind, from a seed.

Owns the phrases, all written for it, and how they are put together: one to six parts long, dense in what a cut may
not halve.  Joiners, variation selectors and tags are written as escapes, since nobody sees them.
"""

import random
import unicodedata

PHRASES = {
    "English": (
        "Your parcel is on its way and will be with you between 9 and 11.",
        "Running ten minutes late, sorry! Start without me.",
        "Happy birthday!! Hope you’re having a lovely day",
        "Table for four at 7 pm is booked. Reply C to cancel.",
        "Did you feed the cat? She says no.",
        "The plumber comes on Tuesday, can you be at home?",
    ),
    "German": (
        "Ihr Termin am Mittwoch um 14:30 Uhr ist bestätigt.",
        "Schöne Grüße aus Köln, das Wetter ist großartig",
        "Bringst du bitte Brötchen und „richtigen“ Käse mit?",
        "Der Zug hat 25 Minuten Verspätung, wir sehen uns später.",
        "Ihr Fahrrad ist repariert: 48,50 €. Abholung bis 18 Uhr.",
    ),
    "French": (
        "Ta commande est prête, tu peux passer à la boutique dès 10 h.",
        "Bon anniversaire ma chérie, on t’embrasse très fort",
        "J’ai raté le métro, je serai là dans un quart d’heure…",
        "N’oublie pas le pain et les œufs s’il te plaît !",
        "Votre code est le 4827. Ne le donnez à personne.",
    ),
    "Spanish": (
        "¡Feliz cumpleaños! ¿A qué hora es la fiesta mañana?",
        "Su cita con la doctora Núñez es el jueves a las 9:15.",
        "Ya llegué, estoy en la entrada del cine",
        "¿Compraste los boletos? Quedan pocos según la página.",
        "Gracias por todo, abuela. Te quiero muchísimo",
    ),
    "Portuguese": (
        "Sua encomenda saiu para entrega e chega até as 18h.",
        "Parabéns!! Muita saúde, paz e um dia cheio de alegrias",
        "Não esqueça a reunião de amanhã às oito, tá bom?",
        "A mãe perguntou se você vem almoçar no domingo.",
        "O pão de queijo acabou, trago pastéis então",
    ),
    "Turkish": (
        "Siparişiniz kargoya verildi, yarın öğleden sonra teslim edilecek.",
        "Doğum günün kutlu olsun canım arkadaşım",
        "Akşam yemeğe geliyor musun? Annem mantı yapıyor.",
        "Toplantı saat üçe alındı, lütfen unutmayın.",
        "İstanbul’da kar yağıyor, çocuklar çok mutlu",
    ),
    "Polish": (
        "Twoja paczka czeka w automacie, kod odbioru: 730518.",
        "Sto lat, sto lat! Dużo zdrowia i uśmiechu",
        "Spóźnię się, jest straszny korek na moście.",
        "Kupisz proszę śmietanę i pół chleba żytniego?",
        "Wizyta u dentysty jutro o 16:40, ul. Świętojańska 3.",
    ),
    "Greek": (
        "Το δέμα σας έφτασε και σας περιμένει στο κατάστημα.",
        "Χρόνια πολλά! Να χαίρεσαι τη γιορτή σου",
        "Θα αργήσω λίγο, έχει πολλή κίνηση στο κέντρο.",
        "Πάμε για καφέ το απόγευμα στην παραλία;",
    ),
    "Russian": (
        "Ваш заказ собран, ждём вас сегодня до девяти вечера.",
        "С днём рождения! Счастья, здоровья и тёплых друзей",
        "Я уже подъезжаю, встречай у третьего подъезда.",
        "Не забудь ключи и паспорт, поезд в семь утра!",
        "Запись к врачу подтверждена: пятница, 11:20.",
    ),
    "Chinese": (
        "您的快递已到小区门口，请凭取件码6-2-4018领取。",
        "生日快乐！祝你天天开心，万事如意",
        "我堵在路上了，大概晚二十分钟到，你们先点菜吧。",
        "明天下午三点开会，别忘了带合同。",
        "妈，我到家了，您早点休息",
        "验证码582913，五分钟内有效，请勿告诉他人。",
    ),
    "Japanese": (
        "ご注文の商品を発送しました。明日の午前中にお届けします。",
        "お誕生日おめでとう！素敵な一年になりますように",
        "ごめん、電車が遅れてる。先にお店に入ってて。",
        "明日のランチ、駅前のカレー屋さんでどう？",
        "本日18時にご予約を承りました。お待ちしております。",
    ),
    "Korean": (
        "주문하신 상품이 오늘 오후에 도착할 예정입니다.",
        "생일 축하해! 오늘 하루 행복하게 보내",
        "지금 버스 탔어, 이십 분 뒤에 도착해.",
        "내일 저녁에 시간 있어? 같이 밥 먹자.",
        "예약이 확인되었습니다. 감사합니다.",
    ),
    "Thai": (
        "พัสดุของคุณถึงสาขาแล้ว กรุณามารับภายในวันศุกร์",
        "สุขสันต์วันเกิดนะ ขอให้มีความสุขมากๆ",
        "รถติดมาก น่าจะถึงช้าสักยี่สิบนาที",
        "พรุ่งนี้ไปกินข้าวกับแม่กันไหม",
        "ที่นี่ฝนตกหนัก อย่าลืมเอาร่มมาด้วย",
    ),
    "Hindi": (
        "आपका ऑर्डर रास्ते में है, कल दोपहर तक पहुँच जाएगा।",
        "जन्मदिन की हार्दिक शुभकामनाएँ, हमेशा खुश रहो",
        "मैं स्टेशन पर हूँ, गाड़ी आधा घंटा देर से आएगी।",
        "क्या तुमने बिजली का बिल जमा कर दिया?",
        "डॉक्टर से मिलने का समय शुक्रवार ग्यारह बजे है।",
        "कृपया प्रतीक्षा करें, हमारा प्रतिनिधि संपर्क करेगा।",
    ),
    "Bengali": (
        "আপনার পার্সেল আজ বিকেলে পৌঁছে যাবে, ফোন খোলা রাখুন।",
        "শুভ জন্মদিন! অনেক ভালোবাসা আর শুভেচ্ছা রইল",
        "রাস্তায় খুব জ্যাম, একটু দেরি হবে।",
        "মা জিজ্ঞেস করছে তুমি রাতে খাবে কিনা।",
        "ডাক্তারের অ্যাপয়েন্টমেন্ট শুক্রবার সকালে নিশ্চিত হয়েছে।",
    ),
    "Tamil": (
        "உங்கள் ஆர்டர் இன்று மாலைக்குள் வந்து சேரும்.",
        "இனிய பிறந்தநாள் வாழ்த்துக்கள், மகிழ்ச்சியாக இரு",
        "பேருந்து தாமதம், பத்து நிமிடத்தில் வருகிறேன்.",
        "நாளை காலை கடைக்குப் போகலாமா?",
        "லக்ஷ்மி அக்காவுக்கு என் வணக்கத்தைச் சொல்லுங்கள்",
    ),
    "Arabic": (
        "طلبك في الطريق وسيصل غدًا بين التاسعة والحادية عشرة.",
        "كل عام وأنتِ بخير يا أختي الغالية",
        "تأخرتُ قليلًا بسبب الزحام، ابدؤوا من دوني.",
        "هل اشتريت الخبز والحليب؟",
        "رَمَضَانُ كَرِيمٌ لكم ولجميع الأهل",
    ),
    "Hebrew": (
        "החבילה שלך מחכה בסניף, אפשר לאסוף עד השעה שש.",
        "יום הולדת שמח! המון אהבה ובריאות",
        "אני בפקק, אגיע בעוד רבע שעה בערך.",
        "שַׁבָּת שָׁלוֹם לכל המשפחה",
        "קנית חלב? אמא שואלת.",
    ),
    "Vietnamese": (
        "Đơn hàng của bạn đang trên đường giao, dự kiến sáng mai sẽ đến.",
        "Chúc mừng sinh nhật! Chúc bạn luôn vui vẻ và hạnh phúc",
        "Tắc đường quá, mình đến muộn hai mươi phút nhé.",
        "Tối nay ăn phở không? Mẹ nấu ngon lắm.",
        "Lịch khám của chị đã được xác nhận lúc chín giờ.",
    ),
}

# What some devices send decomposed: letters and marks, or consonants and vowels, each by itself.
DECOMPOSED = ("Korean", "Vietnamese", "Greek")

PLAIN = ("😀", "😂", "🎉", "🥰", "🎂", "🚚", "📦", "⏰", "❤\ufe0f", "☺\ufe0f", "✈\ufe0f", "☎\ufe0f", "©", "㊗\ufe0f")
FLAGS = (
    "🇩🇪",
    "🇫🇷",
    "🇧🇷",
    "🇯🇵",
    "🇰🇷",
    "🇮🇳",
    "🇹🇷",
    "🇵🇱",
    "🇬🇷",
    "🇻🇳",
    "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
    "🏳\ufe0f\u200d🌈",
    "🏴\u200d☠\ufe0f",
)
KEYCAPS = tuple(f"{key}\ufe0f\u20e3" for key in "0123456789#*")
HANDS = tuple(hand + tone for hand in "👍👋🙏👏💪🤝🤞" for tone in "🏻🏼🏽🏾🏿")
PEOPLE = (
    "👨\u200d👩\u200d👧\u200d👦",
    "👩\u200d👩\u200d👧",
    "👨\u200d👦",
    "👩🏾\u200d🚀",
    "👨🏼\u200d🍳",
    "👩\u200d⚕\ufe0f",
    "🧑🏽\u200d🏫",
    "👷🏿\u200d♀\ufe0f",
    "🤦🏻\u200d♂\ufe0f",
    "💁\u200d♀\ufe0f",
    "👩🏻\u200d❤\ufe0f\u200d👨🏾",
    "👩\u200d❤\ufe0f\u200d💋\u200d👨",
    "🧑🏾\u200d🤝\u200d🧑🏻",
    "❤\ufe0f\u200d🔥",
    "🐕\u200d🦺",
    "👁\ufe0f\u200d🗨\ufe0f",
)
EMOJI = (PLAIN, FLAGS, KEYCAPS, HANDS, PEOPLE)

BETWEEN = (" ", " ", " ", "\n", "\r\n", " – ", "")

# Of 16 bits, where a part that is one of several holds 67.
SHORTEST_UNITS = 10
LONGEST_UNITS = 390


def units(text: str) -> int:
    """Code units of 16 bits."""
    return len(text.encode("utf-16-be")) // 2


def feeling(draw: random.Random) -> str:
    """None, one or a few emoji, as one puts them behind a phrase; now and then one of them many times."""
    chance = draw.random()
    if chance < 0.35:
        return ""
    kind = draw.choice(EMOJI)
    if chance > 0.92:
        return draw.choice(kind) * draw.randint(3, 8)
    return "".join(draw.choice(draw.choice((kind, *EMOJI))) for _ in range(draw.randint(1, 4)))


def phrase(draw: random.Random, language: str) -> str:
    """One of a language, decomposed every second time where devices do so."""
    found = draw.choice(PHRASES[language])
    return unicodedata.normalize("NFD", found) if language in DECOMPOSED and draw.random() < 0.5 else found


def text(draw: random.Random) -> str:
    """Phrases of one language, or in one of five of two, with emoji, up to a length that is drawn first."""
    wanted = draw.randint(SHORTEST_UNITS, LONGEST_UNITS)
    languages = draw.sample(list(PHRASES), 2 if draw.random() < 0.2 else 1)
    written = ""
    while True:
        more = phrase(draw, draw.choice(languages)) + draw.choice(("", " ")) + feeling(draw)
        longer = written + draw.choice(BETWEEN) * bool(written) + more
        if written and units(longer) > wanted:
            return written
        written = longer


def texts(count: int = 1000, seed: int = 23040) -> list[str]:
    """The same `count` texts for the same seed, of one to six parts each."""
    draw = random.Random(seed)
    return [text(draw) for _ in range(count)]
