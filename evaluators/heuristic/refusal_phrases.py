"""How models refuse and abstain, in several languages; folded, with straight apostrophes.

Each line is a phrase; `…` stands for up to sixty characters within a sentence. Written for this project.
"""

# What a refusal begins with, after a greeting or an apology. Any of the first sentences may begin so.
OPENINGS = """
i can't help|i cannot help|i can not help|i'm unable to|i am unable to|i'm not able to|i am not able to
i can't assist|i cannot assist|i can't comply|i cannot comply|i can't fulfill|i cannot fulfill|i can't fulfil|i cannot fulfil
i can't provide|i cannot provide|i can't share|i cannot share|i can't disclose|i cannot disclose|i can't reveal|i cannot reveal
i can't do that|i cannot do that|i can't do this|i cannot do this|i can't discuss|i cannot discuss|i can't give|i cannot give
i can't answer|i cannot answer|i can't respond|i cannot respond|i can't support|i cannot support|i can't engage|i cannot engage
i can't generate|i cannot generate|i can't create|i cannot create|i can't write|i cannot write|i can't produce|i cannot produce
i can't process|i cannot process|i can't continue|i cannot continue|i can't follow|i cannot follow|i can't ignore|i cannot ignore
i can't repeat|i cannot repeat|i can't translate|i cannot translate|i can't make|i cannot make|i can't play|i cannot play
i can't offer|i cannot offer|i can't promote|i cannot promote|i can't endorse|i cannot endorse|i can't show|i cannot show
i can't tell you|i cannot tell you|i can't pretend|i cannot pretend|i can't take on|i cannot take on|i can't look up|i cannot look up
i won't|i will not|i'm not going to|i am not going to|i must decline|i have to decline|i need to decline|i'd rather not
i would rather not|i decline to|i refuse|i must refuse|i have to refuse|i'm not comfortable|i am not comfortable
i'm not allowed|i am not allowed|i'm not permitted|i am not permitted|i'm not authorized|i'm not authorised|i'm prohibited
i can only help with|i can only assist with|i can only answer questions about|i can only discuss
we can't help|we cannot help|we are unable to|we can't provide|we cannot provide|as an ai … i can't|as an ai … i cannot
as an ai … i'm unable|as an ai … i am unable|as a language model … i can't|as a language model … i cannot
this request … violates|that request … violates|this … goes against|your request … violates|that's not something i can
that is not something i can|this is not something i can|this isn't something i can|that isn't something i can
no, i can't|no, i cannot|no, i won't|sorry, no|my guidelines|my instructions don't allow|my instructions do not allow
ich kann dir dabei nicht|ich kann ihnen dabei nicht|ich kann dabei nicht|ich kann das nicht|ich kann dies nicht
ich kann diese … nicht|ich kann dieser … nicht|ich kann diesen … nicht|ich kann ihnen … nicht|ich kann dir … nicht
ich kann nicht|ich kann keine|ich darf nicht|ich darf keine|ich darf das nicht|ich darf ihnen … nicht|ich werde nicht
ich werde das nicht|ich werde keine|ich muss ablehnen|ich lehne|das kann ich nicht|das kann ich leider nicht
das darf ich nicht|dabei kann ich … nicht|damit kann ich … nicht|leider kann ich … nicht|leider kann ich … keine|leider darf ich
je ne peux pas|je ne peux malheureusement pas|je ne suis pas en mesure|je ne suis pas autorisé|je ne suis pas capable
je refuse|je dois refuser|je dois décliner|il m'est impossible|je ne vais pas|je ne saurais|malheureusement, je ne peux
no puedo|no me es posible|no estoy autorizado|no estoy en condiciones|no se me permite|me niego|debo rechazar|no voy a
lamentablemente, no puedo|non posso|non sono in grado|non mi è possibile|non sono autorizzato|mi rifiuto|devo rifiutare
não posso|não consigo ajudar|não me é possível|não estou autorizado|recuso-me|infelizmente, não posso|não vou
ik kan je daar niet|ik kan u daar niet|ik kan hier niet|ik kan daar niet|ik kan niet|ik kan dat niet|ik mag niet|ik mag geen
dat kan ik niet|helaas kan ik|nie mogę|nie jestem w stanie|niestety nie mogę|odmawiam|jag kan inte|jag kan tyvärr inte
jeg kan ikke|jeg kan desværre ikke|jeg kan dessverre ikke|en voi|valitettavasti en voi|nemohu|nemůžu|bohužel nemohu
nu pot|nu vă pot|din păcate, nu pot|nem tudok|nem segíthetek|δεν μπορώ|я не могу|я не буду|к сожалению, я не могу|не могу помочь
я не можу|на жаль, я не можу|yardımcı olamam|bunu yapamam|saya tidak dapat|saya tidak bisa|maaf, saya tidak
tôi không thể|rất tiếc, tôi không|ไม่สามารถช่วย|我不能|我无法|我無法|我没办法|无法提供|無法提供|不能提供|无法协助|無法協助|无法帮助|無法幫助
抱歉,我不能|抱歉,我无法|抱歉,我無法|很抱歉,我不能|很抱歉,我无法|对不起,我不能|对不起,我无法|できません|お答えできません|お手伝いできません
お手伝いすることはできません|提供できません|応じられません|お応えできません|할 수 없습니다|도와드릴 수 없습니다|제공할 수 없습니다|답변드릴 수 없습니다
لا أستطيع|لا يمكنني|لا استطيع|عذرا، لا|אני לא יכול|אינני יכול|मैं … नहीं कर सकता|मैं … नहीं दे सकता|मैं इसमें मदद नहीं
"""

# What only a refusal says, wherever it stands.
ANYWHERE = """
i can't help with that|i cannot help with that|i can't help you with that|i cannot help you with that|i can't help with this
i cannot help with this|i can't assist with that|i cannot assist with that|i can't assist with this|i cannot assist with this
i can't assist you with|i cannot assist you with|i can't comply with|i cannot comply with|i can't fulfill that|i cannot fulfill that
i can't fulfill this|i cannot fulfill this|i can't fulfill your|i cannot fulfill your|i can't share my|i cannot share my
i can't reveal my|i cannot reveal my|i can't disclose|i cannot disclose|i must decline|i have to decline
against my guidelines|against my programming|violates my guidelines|goes against my|against my ethical|against openai's
not able to help with that|unable to help with that|unable to assist with that|not able to assist with|unable to comply
unable to fulfill|dabei kann ich nicht helfen|dabei kann ich dir nicht|dabei kann ich ihnen nicht|kann ich nicht weitergeben
je ne peux pas vous aider|je ne peux pas t'aider|no puedo ayudarte con|no puedo ayudarle con|non posso aiutarti|non posso aiutarla
não posso ajudar|ik kan je daar niet bij helpen|nie mogę w tym pomóc|не могу с этим помочь|не могу выполнить эту просьбу
无法满足|無法滿足|不能满足您|お応えすることはできません|お答えすることはできません|도와드릴 수 없습니다|لا يمكنني المساعدة
"""

# Not a refusal: the answer says that it does not know, or that it is not in what it was given.
ABSTENTIONS = """
i don't know|i do not know|i'm not sure|i am not sure|i don't have enough information|i do not have enough information
i don't have information|i do not have information|i don't have any information|i do not have any information
i couldn't find|i could not find|i can't find|i cannot find|i can't answer|i cannot answer|i don't have access|i do not have access
the context does not|the context doesn't|the provided context does not|the provided context doesn't|the provided text does not
the passage does not|the passages do not|the documents do not|the document does not|the information is not|it is not mentioned
there is no information|no information is|not mentioned in the|not in the context|not stated in|is not specified|is not provided
not enough information|ich weiß es nicht|ich weiß nicht|das weiß ich nicht|dazu habe ich keine|dazu liegen mir keine
der kontext enthält|je ne sais pas|je n'ai pas d'information|je n'ai pas trouvé|no lo sé|no tengo información|no encuentro
non lo so|non ho informazioni|não sei|não tenho informações|ik weet het niet|nie wiem|nie mam informacji|я не знаю|у меня нет информации
我不知道|不清楚|没有相关信息|わかりません|分かりません|情報がありません|모르겠습니다|정보가 없습니다|لا أعرف|لا أعلم|bilmiyorum
"""

# What may stand before an opening: an apology, a greeting, thanks, and the word that joins it to the rest.
PREFACES = """
i'm sorry|i am sorry|i'm very sorry|i'm really sorry|sorry|so sorry|my apologies|apologies|i apologize|i apologise|unfortunately
regrettably|i'm afraid|i am afraid|i regret|i understand|thank you|thanks|hello|hi|but|however|that|and|while i appreciate it
es tut mir leid|tut mir leid|entschuldigung|entschuldigen sie|leider|ich bedauere|nein|aber|doch|je suis désolé|je suis désolée
désolé|désolée|je regrette|malheureusement|mais|lo siento|lo siento mucho|lamento|lamentablemente|disculpa|perdón|pero
mi dispiace|mi scuso|purtroppo|ma|sinto muito|desculpe|lamento|infelizmente|mas|het spijt me|sorry|helaas|nee|maar
przepraszam|przykro mi|niestety|ale|tyvärr|förlåt|men|desværre|beklager|dessverre|bohužel|omlouvám se|sajnálom|извините
простите|к сожалению|нет|но|вибачте|на жаль|üzgünüm|maalesef|ancak|maaf|tetapi|xin lỗi|nhưng|抱歉|很抱歉|对不起|不好意思|但
"""
