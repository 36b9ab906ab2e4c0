/** The words of the guide's instruments, in both languages. */
const english = {
  expert: "expert",
  gate: { title: "Softmax gate and KeepTopK", text: "Gates:", full: "Softmax over all:" },
  noise: { title: "Noise and softplus", gap: "h1 - h2", raw: "raw deviation", text: "The second expert wins in" },
  seats: {
    title: "Tokens and slots",
    factor: "capacity factor",
    skew: "preference for expert 1",
    priority: "priority",
    position: "position",
    gate: "gate",
    random: "random",
    dropped: "Dropped:",
  },
  dispatch: {
    title: "Dispatch and combine as two tables",
    token: "token",
    slot: "slot",
    empty: "empty",
    dropped: "dropped",
    text: "The first table reads tokens into slots, the second reads slots back into tokens.",
  },
  balance: { title: "The balance loss of two experts", loss: "loss", even: "even", text: "It is 1 wherever f or P is even." },
  precision: {
    title: "Rounding the router to bfloat16",
    offset: "common offset of the logits",
    scale: "spread of the logits",
    flips: "flipped",
    text: "Other choices after rounding:",
  },
  coin: { title: "The last token is a coin", toss: "Turn the coin", text: "Experts that take each token:" },
};

const korean: typeof english = {
  expert: "전문가",
  gate: { title: "소프트맥스 게이트와 KeepTopK", text: "게이트:", full: "전체 소프트맥스:" },
  noise: { title: "잡음과 소프트플러스", gap: "h1 - h2", raw: "표준편차의 원래 값", text: "둘째 전문가가 이기는 비율:" },
  seats: {
    title: "토큰과 슬롯",
    factor: "용량 계수",
    skew: "전문가 1에 대한 선호",
    priority: "우선순위",
    position: "위치",
    gate: "게이트",
    random: "무작위",
    dropped: "버려진 토큰:",
  },
  dispatch: {
    title: "두 개의 표로 하는 dispatch와 combine",
    token: "토큰",
    slot: "슬롯",
    empty: "비어 있음",
    dropped: "버려짐",
    text: "첫째 표는 토큰을 슬롯으로 읽어 들이고, 둘째 표는 슬롯을 토큰으로 되돌려 읽습니다.",
  },
  balance: { title: "두 전문가의 균형 손실", loss: "손실", even: "고를 때", text: "f나 P 가운데 하나가 고르면 1입니다." },
  precision: {
    title: "라우터를 bfloat16으로 반올림하면",
    offset: "로짓의 공통 값",
    scale: "로짓의 흩어짐",
    flips: "뒤집힘",
    text: "반올림 뒤에 달라진 선택:",
  },
  coin: { title: "마지막 토큰은 동전", toss: "동전 뒤집기", text: "토큰마다 뽑은 전문가:" },
};

export function widgetWords(language: string): typeof english {
  return language.startsWith("ko") ? korean : english;
}
